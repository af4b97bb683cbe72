// Package secret gets the passwords that definitions refer to: from a file only
// its owner can read, from a command, or from a file that Windows keeps
// encrypted for the machine. The file, or program, has to be one that nobody else
// could have written (internal/trust).
//
// It keeps no password and asks nobody. Keyrings of a desktop session are
// reached by a command ("/usr/bin/secret-tool lookup ...").
package secret
