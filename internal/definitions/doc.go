// Package definitions is where backup definitions lie: a folder with one XML file
// each, and beside it one with the user's templates.
//
// Definitions tell a privileged program what to run. So a file is read only when
// nobody else could have written it, or anything it names that is run or read
// for a password (internal/trust); it is checked before it takes the place of
// an older one, and replaced as a whole.
//
// It does not run anything and keeps no state.
package definitions
