package ntfs

import "fmt"

// What a file has, over all of its records: beside open, which gives the
// contents of one attribute, these find attributes without their contents.

// list is the attribute list of a record; nil when there is none.
func (m *mft) list(rec record) ([]listEntry, error) {
	for _, a := range rec.attrs {
		if a.typ == typeAttributeList {
			entries, err := m.listEntries(a)
			return entries, where(err, "MFT record %d", rec.number)
		}
	}
	return nil, nil
}

// pieces calls do with every piece of an attribute that want picks, in the
// order of the record or of its attribute list. Each record of the list is
// read once in a row.
func (m *mft) pieces(rec record, want func(typ uint32, name string, low int64) bool, do func(attribute)) error {
	entries, err := m.list(rec)
	if err != nil {
		return err
	}
	if entries == nil {
		for _, a := range rec.attrs {
			if want(a.typ, a.name, a.low) {
				do(a)
			}
		}
		return nil
	}
	from := rec
	for _, e := range entries {
		if !want(e.typ, e.name, e.low) {
			continue
		}
		switch number := int64(e.ref & (1<<48 - 1)); number {
		case from.number:
		case rec.number:
			from = rec
		default:
			if from, err = m.extension(e.ref, rec); err != nil {
				return err
			}
		}
		a, ok := from.find(e)
		if !ok {
			return fmt.Errorf("attribute list of MFT record %d: attribute %#x %q is not in MFT record %d", rec.number, e.typ, e.name, from.number)
		}
		do(a)
	}
	return nil
}

// head is the first piece of an attribute, which has its size; errNoAttribute
// tells that there is none.
func (m *mft) head(rec record, typ uint32, name string) (attribute, error) {
	var out attribute
	found := false
	err := m.pieces(rec, func(t uint32, n string, low int64) bool {
		return t == typ && n == name && low == 0 && !found
	}, func(a attribute) { out, found = a, true })
	if err == nil && !found {
		err = errNoAttribute
	}
	return out, err
}

// names calls do with the name of each attribute of a type.
func (m *mft) names(rec record, typ uint32, do func(name string)) error {
	entries, err := m.list(rec)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.typ == typ {
			do(e.name)
		}
	}
	if entries != nil {
		return nil
	}
	for _, a := range rec.attrs {
		if a.typ == typ {
			do(a.name)
		}
	}
	return nil
}

// links is the number of names of a file, without DOS names.
func (m *mft) links(rec record) (names int, err error) {
	err = m.pieces(rec, func(typ uint32, _ string, _ int64) bool { return typ == typeFileName }, func(a attribute) {
		if len(a.value) > nameSpace && a.value[nameSpace] != spaceDOS {
			names++
		}
	})
	return names, err
}
