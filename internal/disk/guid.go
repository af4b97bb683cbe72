package disk

import (
	"encoding/binary"
	"fmt"
)

// guid prints the 16 bytes of a GUID as they lie on a disk or in a Windows
// structure: the first three fields little-endian, the last two as they are
// (UEFI 2.10, appendix A), in upper case and without braces.
func guid(b []byte) string {
	return fmt.Sprintf("%08X-%04X-%04X-%X-%X",
		binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint16(b[4:]), binary.LittleEndian.Uint16(b[6:]), b[8:10], b[10:16])
}

// The partition types that more than a name depends on.
const (
	typeESP         = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
	typeMSR         = "E3C9E316-0B5C-4DB8-817D-F92DF00215AE"
	typeRecovery    = "DE94BBA4-06D1-4D40-A16A-BFD50179D6AC"
	typeLDMMetadata = "5808C8AA-7E8F-42E0-85D2-E1E90434CFB3"
	typeLDMData     = "AF9B60A0-1431-4F62-BC68-3311714A69AD"
)

// gptTypeName is the usual name of a GPT partition type, or "Unknown".
func gptTypeName(id string) string {
	names := map[string]string{
		typeESP:                                "EFI system",
		typeMSR:                                "Microsoft reserved",
		typeRecovery:                           "Windows recovery",
		typeLDMMetadata:                        "Windows LDM metadata",
		typeLDMData:                            "Windows LDM data",
		"EBD0A0A2-B9E5-4433-87C0-68B6B72699C7": "Basic data",
		"E75CAF8F-F680-4CEE-AFA3-B001E56EFC2D": "Windows Storage Spaces",
		"558D43C5-A1AC-43C0-AAC8-D1472B2923D1": "Windows Storage Replica",
		"37AFFC90-EF7D-4E96-91C3-2D7AE055B174": "IBM GPFS",
		"0FC63DAF-8483-4772-8E79-3D69D8477DE4": "Linux filesystem",
		"0657FD6D-A4AB-43C4-84E5-0933C84B4F4F": "Linux swap",
		"E6D6D379-F507-44C2-A23C-238F2A3DF928": "Linux LVM",
		"A19D880F-05FC-4D3B-A006-743F0F84911E": "Linux RAID",
		"933AC7E1-2EB4-4F13-B844-0E14E2AEF915": "Linux home",
		"3B8F8425-20E0-4F3B-907F-1A25A76F98E8": "Linux server data",
		"8DA63339-0007-60C0-C436-083AC8230908": "Linux reserved",
		"BC13C2FF-59E6-4262-A352-B275FD6F7172": "Linux extended boot",
		"4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709": "Linux root (x86-64)",
		"44479540-F297-41B2-9AF7-D131D5F0458A": "Linux root (x86)",
		"B921B045-1DF0-41C3-AF44-4C6F280D3FAE": "Linux root (ARM64)",
		"8484680C-9521-48C6-9C11-B0720656F69E": "Linux /usr (x86-64)",
		"4D21B016-B534-45C2-A9FB-5C16E091FD2D": "Linux variable data",
		"7EC6F557-3BC5-4ACA-B293-16EF5DF639D1": "Linux temporary data",
		"CA7D7CCB-63ED-4C53-861C-1742536059CC": "Linux LUKS",
		"7FFEC5C9-2D00-49B7-8941-3EA10A5586B7": "Linux plain dm-crypt",
		"21686148-6449-6E6F-744E-656564454649": "BIOS boot",
		"024DEE41-33E7-11D3-9D69-0008C781F39F": "MBR partition scheme",
		"48465300-0000-11AA-AA11-00306543ECAC": "Apple HFS+",
		"7C3457EF-0000-11AA-AA11-00306543ECAC": "Apple APFS",
		"426F6F74-0000-11AA-AA11-00306543ECAC": "Apple boot",
		"53746F72-6167-11AA-AA11-00306543ECAC": "Apple Core Storage",
		"55465300-0000-11AA-AA11-00306543ECAC": "Apple UFS",
		"52414944-0000-11AA-AA11-00306543ECAC": "Apple RAID",
		"6A898CC3-1DD2-11B2-99A6-080020736631": "ZFS",
		"6A82CB45-1DD2-11B2-99A6-080020736631": "Solaris boot",
		"6A945A3B-1DD2-11B2-99A6-080020736631": "Solaris reserved",
		"83BD6B9D-7F41-11DC-BE0B-001560B84F0F": "FreeBSD boot",
		"516E7CB4-6ECF-11D6-8FF8-00022D09712B": "FreeBSD data",
		"516E7CB5-6ECF-11D6-8FF8-00022D09712B": "FreeBSD swap",
		"516E7CB6-6ECF-11D6-8FF8-00022D09712B": "FreeBSD UFS",
		"516E7CBA-6ECF-11D6-8FF8-00022D09712B": "FreeBSD ZFS",
		"824CC7A0-36A8-11E3-890A-952519AD3F61": "OpenBSD data",
		"FE3A2A5D-4F32-41A7-B725-ACCC3285A309": "ChromeOS kernel",
		"3CB8E202-3B7E-47DD-8A3C-7FF2A13CFCEC": "ChromeOS root",
		"AA31E02A-400F-11DB-9590-000C2911D1B8": "VMware VMFS",
		"9D275380-40AD-11DB-BF97-000C2911D1B8": "VMware diagnostic",
	}
	if n, ok := names[id]; ok {
		return n
	}
	return "Unknown"
}

// mbrTypeName is the usual name of an MBR partition type, or "Unknown".
func mbrTypeName(t byte) string {
	names := map[byte]string{
		0x00: "Empty", 0x01: "FAT12", 0x04: "FAT16 (small)", 0x05: "Extended", 0x06: "FAT16", 0x07: "NTFS/exFAT",
		0x0B: "FAT32", 0x0C: "FAT32 (LBA)", 0x0E: "FAT16 (LBA)", 0x0F: "Extended (LBA)",
		0x11: "Hidden FAT12", 0x12: "OEM service", 0x14: "Hidden FAT16 (small)", 0x16: "Hidden FAT16", 0x17: "Hidden NTFS",
		0x1B: "Hidden FAT32", 0x1C: "Hidden FAT32 (LBA)", 0x1E: "Hidden FAT16 (LBA)", 0x27: "Windows recovery",
		0x39: "Plan 9", 0x42: "Windows dynamic disk", 0x63: "GNU Hurd/SysV", 0x64: "NetWare", 0x65: "NetWare",
		0x80: "Old Minix", 0x81: "Minix", 0x82: "Linux swap", 0x83: "Linux filesystem", 0x84: "Hibernation", 0x85: "Linux extended",
		0x86: "NTFS volume set", 0x87: "NTFS volume set", 0x88: "Linux plain text", 0x8E: "Linux LVM",
		0xA0: "Laptop hibernation", 0xA5: "FreeBSD", 0xA6: "OpenBSD", 0xA8: "Apple UFS", 0xA9: "NetBSD", 0xAB: "Apple boot", 0xAF: "Apple HFS+",
		0xBE: "Solaris boot", 0xBF: "Solaris", 0xDA: "Non-FS data", 0xDE: "Dell utility", 0xEB: "BeOS", 0xEE: "GPT protective",
		0xEF: "EFI system", 0xFB: "VMware VMFS", 0xFC: "VMware swap", 0xFD: "Linux RAID",
	}
	if n, ok := names[t]; ok {
		return n
	}
	return "Unknown"
}
