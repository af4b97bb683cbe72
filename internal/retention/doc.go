// Package retention decides which points in time stay when rules are applied
// to the sets of a folder. Deciding is pure: sets and rules in, verdicts and
// operations out, nothing is opened and nothing is printed.
//
// # How a decision is made
//
//  1. Order. Sets go by when they began, the one that is written to last. The
//     points of a set go by their number. Where a chain is concerned no clock
//     is asked.
//
//  2. Doom (doom.go). The limits of the rules mark points that should go: a full with
//     its whole set, a differential with the incrementals based on it, an
//     incremental alone.
//
//  3. Pins (pin.go). Promises mark points that must stay: protected ones, the
//     newest Minimum that can be restored of each disk, those that GFS names.
//
//  4. Settling (settle.go). A point stays if it is pinned or not doomed. Each
//     set is then brought there by four operations, each of which leaves whole
//     chains behind by itself:
//
//     DeleteSet: no point of the set stays.
//     Delete: a differential and all of its incrementals, or the last
//     incrementals of a run. Nothing is based on them but they themselves.
//     Merge: incrementals that go are taken up by the next one that stays.
//     Roll: the full and its oldest incrementals become one full (SyntheticFull).
//
//     What cannot be brought there stays, and its reason says why: a full or a
//     differential on which a point is based that stays, and incrementals that
//     would have to be merged with a damaged one.
//
// An operation removes only points that are doomed and not pinned (and, in a
// Roll, a full that is not pinned). Pins and places in the order depend only on
// points that stay and on when a set began, so that a decision on the outcome
// finds nothing left to do.
//
// # In doubt
//
// A point is whole when its file and all those it is based on are there and
// undamaged. Others take no place among the newest N, fulfil no minimum and no
// GFS rule, and are never part of a merge; they go when a whole point in
// their place would.
//
// The last good set of a disk, and the one that is written to, are never
// doomed by the limit on fulls. When a full is about to be made (purge before
// the backup) it counts as being there, but the last good set stays until it is.
//
// A set that began in the future was made under a wrong clock, and nobody
// can tell where it belongs: it is left alone and counts for nothing, unless it
// is the one that is written to. A point dated in the future has the age 0, and no point is
// older than those it is based on.
//
// A set that does not consist of one full and what follows it (its full is
// missing, or there are two) is deleted as a whole or left as it is.
//
// Limits on differentials and incrementals, GFS and the minimum are counted for
// each disk. The limit on fulls is counted for each disk, or over the whole folder with
// the scope plan.AllSets, so that sets of a former layout of the disk go.
//
// Low space is another matter (space.go): whole sets, the oldest first.
package retention
