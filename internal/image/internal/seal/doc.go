// Package seal makes keys from a password, encrypts and decrypts stored blocks,
// and authenticates blocks and metadata. It is the only place that imports
// ciphers.
//
// The layout gives key derivation, AES-CBC and the initialisation vectors
// (ENCRYPTION.md of the published layout); it has no authentication. What is
// added here (docs/format/ingot-extensions.md, section 4) follows encrypt-then-MAC
// with keys of its own: one tag for each stored block, over what is stored and
// where it belongs, and one for the metadata of a file. A tag is compared in
// constant time, and before anything is decrypted.
//
// What it does not promise: lengths, the partition table and whatever else stands
// in the metadata can be read without the password; an initialisation vector
// is that of a block's place, so that two versions of one block that begin alike
// are stored alike up to their first difference.
package seal
