// Package draft is a backup definition in the making, as the image wizard of the
// console has it: what was ticked and typed, the definition that comes of it, and
// what is to be said about it.
//
// In words: a Draft keeps what was typed as it was typed, so that nothing is lost
// by a mistake. Definition makes a plan.Definition of it and says which fields
// make none. Check compares it with Facts (the disks, what was found out about
// the places, the other definitions, the clock) and gives Problems: errors block
// the next step, warnings ask once, notes only say.
//
// What it does not promise: to look at anything itself. It is a pure function of
// what it is given. Texts from disks in its sentences are as they came; who shows
// them makes them fit (view.Text).
package draft
