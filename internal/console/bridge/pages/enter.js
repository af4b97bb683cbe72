// A ticket comes in the fragment, which browsers send to nobody. It is taken out
// of the address bar and the history, and sent once.
const ticket = location.hash.slice(1);
if (ticket) {
  history.replaceState(null, "", "/enter");
  const form = document.querySelector("form");
  form.elements.ticket.value = ticket;
  form.submit();
}
