package trust

import "slices"

// ace is an entry of an access list of Windows. Source of the numbers: MS-DTYP
// 2.4.3 (rights), 2.4.4.1 (types and flags), 2.4.2.4 (well-known identifiers).
type ace struct {
	sid   string // S-1-5-...
	mask  uint32
	allow bool // it grants; others are taken to change nothing
	// inheritOnly says that it is for what will be made below.
	inheritOnly bool
}

// Rights by which an object, or what stands in its place, can be changed.
const (
	rightWriteData   = 0x2  // of a folder: add a file
	rightAppendData  = 0x4  // of a folder: add a folder
	rightDeleteChild = 0x40 // of a folder
	rightDelete      = 0x10000
	rightWriteDAC    = 0x40000
	rightWriteOwner  = 0x80000
	rightAll         = 0x10000000
	rightWrite       = 0x40000000
	rightReadData    = 0x1
	rightRead        = 0x80000000

	// changes are those by which an object itself is changed or exchanged.
	changes = rightDelete | rightWriteDAC | rightWriteOwner | rightAll | rightDeleteChild
	// additions are those that give a file another content and a folder more
	// entries.
	additions = rightWriteData | rightAppendData | rightWrite
	reading   = rightReadData | rightRead
)

// Identifiers of those who can do everything anyway.
const (
	sidSystem           = "S-1-5-18"
	sidAdministrators   = "S-1-5-32-544"
	sidTrustedInstaller = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"
	sidCreatorOwner     = "S-1-3-0" // stands for the owner, who is looked at himself
	sidOwnerRights      = "S-1-3-4" // the same
)

// forbidden are the rights that others may not have: of the object at the end
// of a path (last), or of a folder above it.
func forbidden(k kind, last bool) uint32 {
	switch {
	case !last:
		return changes
	case k == secretFile:
		return changes | additions | reading
	}
	return changes | additions
}

// grants gives who has one of the rights without being trusted; "" when nobody
// has. me is the user of this process.
func grants(list []ace, rights uint32, me string) string {
	for _, a := range list {
		if a.allow && !a.inheritOnly && a.mask&rights != 0 && !trustedSID(a.sid, me) && a.sid != sidCreatorOwner && a.sid != sidOwnerRights {
			return a.sid
		}
	}
	return ""
}

func trustedSID(sid, me string) bool {
	return sid == me || slices.Contains([]string{sidSystem, sidAdministrators, sidTrustedInstaller}, sid)
}
