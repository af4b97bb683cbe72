// Package tui is Ingot on a terminal: what there is, images and the files in
// them, verify, image, restore and the history, full screen or line by line.
//
// In words: a Machine holds a stack of Screens. A Screen is data: a title,
// sentences, facts, numbered choices, or a line that is asked for. What a person
// picks becomes a Step: another screen, back, or Work. Work is the only thing
// that touches the world; when it is done it gives the next Step. So all but Work
// is pure, and both drivers (full.go draws on a terminal, plain.go asks numbered
// questions) lead through the same screens.
//
//   - machine.go: Screen, Step, Machine; draw.go: a screen as lines; text.go:
//     hostile text made harmless, sizes.
//   - world.go: the program itself as a child with --json, and the service.
//   - home.go disks.go folder.go browse.go imaging.go restore.go history.go: the
//     screens.
//
// All that is drawn goes through clean: no control character of a label, a name
// or an error reaches the terminal.
//
// What it does not promise: to know anything itself. Whether a disk may be
// overwritten, what an image holds and what a run does is for the program to say.
package tui
