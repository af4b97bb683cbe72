// Package result holds what the program prints with --json about disks, image
// folders, images and the files in them: one definition, for the command that
// prints it and for whoever reads it from a child process (internal/query).
//
// The JSON names are an interface: they are added to, and never changed or
// taken away. Each object is one line. Sizes and places are in bytes, times are
// RFC 3339; what is not known is left out where the tag says omitempty.
//
// It owns no meaning: texts in it (labels, names, errors) come from disks and
// images, may hold anything, and are to be shown as such.
package result
