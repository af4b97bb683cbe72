package vhdx

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"strings"
)

// guid is a GUID as it lies in the file: the first three fields little-endian,
// the last two as they are.
type guid [16]byte

// String prints it as parent locators hold it, in braces.
func (g guid) String() string {
	return fmt.Sprintf("{%08x-%04x-%04x-%x-%x}",
		binary.LittleEndian.Uint32(g[:]), binary.LittleEndian.Uint16(g[4:]), binary.LittleEndian.Uint16(g[6:]), g[8:10], g[10:])
}

// names reports whether text is this GUID, with or without braces.
func (g guid) names(text string) bool {
	return strings.EqualFold(strings.Trim(strings.TrimSpace(text), "{}"), strings.Trim(g.String(), "{}"))
}

// fields makes a GUID of its five printed parts; the last two are one here.
func fields(a uint32, b, c uint16, rest uint64) (g guid) {
	binary.LittleEndian.PutUint32(g[:], a)
	binary.LittleEndian.PutUint16(g[4:], b)
	binary.LittleEndian.PutUint16(g[6:], c)
	binary.BigEndian.PutUint64(g[8:], rest)
	return g
}

// newGUID draws a random one (RFC 9562, version 4).
func newGUID() (g guid) {
	rand.Read(g[:])
	g[7] = g[7]&0x0f | 0x40
	g[8] = g[8]&0x3f | 0x80
	return g
}

// Regions ([MS-VHDX] 2.2.3.2).
func regionBAT() guid      { return fields(0x2dc27766, 0xf623, 0x4200, 0x9d64115e9bfd4a08) }
func regionMetadata() guid { return fields(0x8b7ca206, 0x4790, 0x4b9a, 0xb8fe575f050f886e) }

// Items of the metadata ([MS-VHDX] 2.6.2).
func itemFileParameters() guid { return fields(0xcaa16737, 0xfa36, 0x4d43, 0xb3b633f0aa44e76b) }
func itemSize() guid           { return fields(0x2fa54224, 0xcd1b, 0x4876, 0xb2115dbed83bf4b8) }
func itemDiskID() guid         { return fields(0xbeca12ab, 0xb2e6, 0x4523, 0x93efc309e000c746) }
func itemLogicalSector() guid  { return fields(0x8141bf1d, 0xa96f, 0x4709, 0xba47f233a8faab5f) }
func itemPhysicalSector() guid { return fields(0xcda348c7, 0x445d, 0x4471, 0x9cc9e9885251c556) }
func itemParentLocator() guid  { return fields(0xa8d35f2d, 0xb30b, 0x454d, 0xabf7d3d84834ab0c) }

// locatorVHDX is the only type of parent locator there is (2.6.2.6.1).
func locatorVHDX() guid { return fields(0xb04aefb7, 0xd19e, 0x4a81, 0xb78925b8e9445913) }
