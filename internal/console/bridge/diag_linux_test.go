package bridge

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

var (
	testLocal  = netip.MustParseAddrPort("127.0.0.1:40000")
	testRemote = netip.MustParseAddrPort("127.0.0.1:80")
)

// diagAnswer is what the kernel says of a socket with these ends.
func diagAnswer(state byte, uid, inode uint32, local, remote netip.AddrPort) []byte {
	b := make([]byte, diagHeader+diagMessage)
	binary.NativeEndian.PutUint32(b, uint32(len(b)))
	binary.NativeEndian.PutUint16(b[4:], unix.SOCK_DIAG_BY_FAMILY)
	m := b[diagHeader:]
	m[0], m[1] = unix.AF_INET, state
	putEnds(m[diagID:], local, remote)
	binary.NativeEndian.PutUint32(m[64:], uid)
	binary.NativeEndian.PutUint32(m[68:], inode)
	return b
}

func TestAnswersOfTheKernel(t *testing.T) {
	d, err := parseDiag(diagAnswer(established, 1000, 7, testLocal, testRemote), testLocal, testRemote)
	if err != nil || d != (diagnosis{established, 1000, 7}) {
		t.Fatalf("%+v, %v", d, err)
	}
	if _, err := parseDiag(diagAnswer(established, 1000, 7, testRemote, testLocal), testLocal, testRemote); !errors.Is(err, errNoSocket) {
		t.Errorf("other ends: %v", err)
	}
	whole := diagAnswer(established, 1000, 7, testLocal, testRemote)
	for n := range whole {
		if _, err := parseDiag(whole[:n], testLocal, testRemote); err == nil {
			t.Errorf("cut to %d bytes: no error", n)
		}
	}
	for d, want := range map[diagnosis]owner{
		{established, 1000, 7}: ours, {established, 1001, 7}: other, {established, 0, 7}: other,
		{established, 1000, 0}: other, {6, 1000, 7}: other, {10, 1000, 7}: other,
	} {
		if got := d.owner(1000); got != want {
			t.Errorf("%+v: %d, want %d", d, got, want)
		}
	}
	if got := (diagnosis{5, 0, 0}).owner(0); got != other { // FIN_WAIT2 of nobody
		t.Errorf("closed socket: %d", got)
	}
	if got := (diagnosis{established, overflowUID, 7}).owner(overflowUID); got != unknown {
		t.Errorf("user without a number: %d", got)
	}
}

func TestTableOfWindows(t *testing.T) {
	row := func(state uint32, local, remote netip.AddrPort, pid uint32) []byte {
		b := make([]byte, tableRow)
		binary.LittleEndian.PutUint32(b, state)
		copy(b[4:], local.Addr().AsSlice())
		binary.BigEndian.PutUint16(b[8:], local.Port())
		copy(b[12:], remote.Addr().AsSlice())
		binary.BigEndian.PutUint16(b[16:], remote.Port())
		binary.LittleEndian.PutUint32(b[20:], pid)
		return b
	}
	table := append([]byte{3, 0, 0, 0}, row(tableEstablished, testRemote, testLocal, 1)...)
	table = append(table, row(8, testLocal, testRemote, 2)...)
	table = append(table, row(tableEstablished, testLocal, testRemote, 3)...)
	if pid, ok := findProcess(table, testLocal, testRemote); !ok || pid != 3 {
		t.Errorf("process %d, %v", pid, ok)
	}
	if _, ok := findProcess(table[:len(table)-1], testLocal, testRemote); ok {
		t.Error("found in a cut table")
	}
}

func FuzzParseDiag(f *testing.F) {
	f.Add(diagAnswer(established, 1000, 7, testLocal, testRemote))
	f.Add([]byte{36, 0, 0, 0, 2, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, err := parseDiag(b, testLocal, testRemote); err == nil && (len(b) < diagHeader+diagMessage || d.owner(1000) == ours && d.inode == 0) {
			t.Error("a socket was found in nothing")
		}
	})
}

func FuzzFindProcess(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, ok := findProcess(b, testLocal, testRemote); ok && len(b) < 4+tableRow {
			t.Error("a process was found in nothing")
		}
	})
}
