// Everything on the pages works without this; it keeps them alive.
import './events.js';
