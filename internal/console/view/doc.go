// Package view turns facts into words and places: what the pages of the console
// and the terminal show, without either.
//
// In words: a function takes structs of the service or of result, and a moment
// that is now, and gives a sentence, a mark, or the geometry of a drawing. Nothing
// here reads, asks or writes, so that tables can test it.
//
//   - text.go: names and messages that others wrote, made fit to be shown.
//   - points.go: sentences about restore points; timeline.go: where they are drawn.
//
// What it does not promise: to escape for HTML, which templates do.
package view
