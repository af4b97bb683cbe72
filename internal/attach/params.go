package attach

// guid is a GUID as Windows has it in memory (guiddef.h).
type guid struct {
	a    uint32
	b, c uint16
	d    [8]byte
}

// storageType is VIRTUAL_STORAGE_TYPE (virtdisk.h): 20 bytes.
type storageType struct {
	device uint32
	vendor guid
}

const deviceVHDX = 3 // VIRTUAL_STORAGE_TYPE_DEVICE_VHDX

// typeVHDX is a VHDX file of Microsoft's own provider, the only one there is
// (VIRTUAL_STORAGE_TYPE_VENDOR_MICROSOFT).
func typeVHDX() storageType {
	return storageType{deviceVHDX, guid{0xec984aec, 0xa0f9, 0x47e9, [8]byte{0x90, 0x1f, 0x71, 0x41, 0x5a, 0x66, 0x34, 0x5b}}}
}

// openParams is OPEN_VIRTUAL_DISK_PARAMETERS with its union taken for Version2:
// 44 bytes, of which the last are the snapshot of Version3. Version2 goes with
// VIRTUAL_DISK_ACCESS_NONE as the access that is asked for: what may be done is
// asked when it is done.
type openParams struct {
	version    uint32
	infoOnly   int32 // BOOL
	readOnly   int32 // BOOL: the file is opened for reading only
	resiliency guid
	snapshot   guid
}

const openVersion2 = 2 // OPEN_VIRTUAL_DISK_VERSION_2, Windows 8 and later

func openFor(write bool) openParams {
	p := openParams{version: openVersion2}
	if !write {
		p.readOnly = 1
	}
	return p
}

// attachParams is ATTACH_VIRTUAL_DISK_PARAMETERS with its union taken for
// Version1: 24 bytes, since the union holds 64-bit numbers in Version2.
type attachParams struct {
	version  uint32
	_        uint32
	reserved uint32
	_        [12]byte
}

const attachVersion1 = 1 // ATTACH_VIRTUAL_DISK_VERSION_1

func attachDefault() attachParams { return attachParams{version: attachVersion1} }

// Flags of AttachVirtualDisk (ATTACH_VIRTUAL_DISK_FLAG).
const (
	flagReadOnly  = 1
	flagPermanent = 4 // the disk stays when the handle is closed
)

func flagsFor(write bool) uint32 {
	if write {
		return flagPermanent
	}
	return flagPermanent | flagReadOnly
}
