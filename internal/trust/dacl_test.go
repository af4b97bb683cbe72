package trust

import "testing"

func TestGrants(t *testing.T) {
	const me, users, everyone = "S-1-5-21-1-2-3-1001", "S-1-5-32-545", "S-1-1-0"
	base := []ace{{sid: sidSystem, mask: 0x1F01FF, allow: true}, {sid: sidAdministrators, mask: 0x1F01FF, allow: true}, {sid: me, mask: 0x1F01FF, allow: true}, {sid: users, mask: 0x1200A9, allow: true}}
	for _, c := range []struct {
		name string
		add  ace
		k    kind
		last bool
		want string
	}{
		{"what Windows gives a file in Program Files", ace{sid: sidTrustedInstaller, mask: 0x1F01FF, allow: true}, anyFile, true, ""},
		{"users may write", ace{sid: users, mask: 0x2, allow: true}, anyFile, true, users},
		{"users may append", ace{sid: users, mask: 0x4, allow: true}, anyFile, true, users},
		{"everyone may write by a generic right", ace{sid: everyone, mask: 0x40000000, allow: true}, anyFile, true, everyone},
		{"users may change the list", ace{sid: users, mask: 0x40000, allow: true}, anyFile, true, users},
		{"users may delete", ace{sid: users, mask: 0x10000, allow: true}, anyFile, true, users},
		{"a denial grants nothing", ace{sid: everyone, mask: 0x1F01FF}, anyFile, true, ""},
		{"C:\\: others may add folders", ace{sid: users, mask: 0x4, allow: true}, anyFile, false, ""},
		{"C:\\: what is for new folders", ace{sid: users, mask: 0x1301BF, allow: true, inheritOnly: true}, anyFile, false, ""},
		{"ProgramData: others may add files", ace{sid: users, mask: 0x116, allow: true}, anyFile, false, ""},
		{"but not to the folder of definitions", ace{sid: users, mask: 0x116, allow: true}, folder, true, users},
		{"others may delete what is in a folder above", ace{sid: users, mask: 0x40, allow: true}, anyFile, false, users},
		{"the owner, by his other name", ace{sid: sidCreatorOwner, mask: 0x1F01FF, allow: true}, anyFile, true, ""},
		{"who may read a password", ace{sid: sidSystem, mask: 1, allow: true}, secretFile, true, users},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := grants(append(base[:len(base):len(base)], c.add), forbidden(c.k, c.last), me); got != c.want {
				t.Fatalf("granted to %q, want %q", got, c.want)
			}
		})
	}
}
