package nbd

import "encoding/binary"

// What goes over the wire, as the section "Values" of the protocol has it.
const (
	magicServer     = 0x4e42444d41474943 // NBDMAGIC
	magicOption     = 0x49484156454f5054 // IHAVEOPT
	magicReply      = 0x0003e889045565a9
	magicRequest    = 0x25609513
	magicSimple     = 0x67446698
	magicStructured = 0x668e33ef

	flagFixedNewstyle = 1 << 0
	flagNoZeroes      = 1 << 1
)

// option is what a client asks for in the handshake.
type option uint32

const (
	optExportName      option = 1
	optAbort           option = 2
	optList            option = 3
	optStartTLS        option = 5
	optInfo            option = 6
	optGo              option = 7
	optStructuredReply option = 8
	optListMeta        option = 9
	optSetMeta         option = 10
)

// reply is how an option is answered.
type reply uint32

const (
	repAck       reply = 1
	repServer    reply = 2
	repInfo      reply = 3
	repMeta      reply = 4
	repUnsup     reply = 1<<31 + 1
	repPolicy    reply = 1<<31 + 2
	repInvalid   reply = 1<<31 + 3
	repTLSNeeded reply = 1<<31 + 5
	repUnknown   reply = 1<<31 + 6
)

// Kinds of information about an export.
const (
	infoExport      uint16 = 0
	infoName        uint16 = 1
	infoDescription uint16 = 2
	infoBlockSize   uint16 = 3
)

// Transmission flags.
const (
	txHasFlags    uint16 = 1 << 0
	txReadOnly    uint16 = 1 << 1
	txFlush       uint16 = 1 << 2
	txFUA         uint16 = 1 << 3
	txTrim        uint16 = 1 << 5
	txWriteZeroes uint16 = 1 << 6
	txDF          uint16 = 1 << 7
	txMultiConn   uint16 = 1 << 8
	txCache       uint16 = 1 << 10
	txFastZero    uint16 = 1 << 11
)

// command is what a client asks for in transmission.
type command uint16

const (
	cmdRead        command = 0
	cmdWrite       command = 1
	cmdDisc        command = 2
	cmdFlush       command = 3
	cmdTrim        command = 4
	cmdCache       command = 5
	cmdWriteZeroes command = 6
	cmdBlockStatus command = 7
)

// Flags of a command.
const (
	flagFUA      uint16 = 1 << 0
	flagNoHole   uint16 = 1 << 1
	flagDF       uint16 = 1 << 2
	flagReqOne   uint16 = 1 << 3
	flagFastZero uint16 = 1 << 4
)

// Types of the chunks of structured replies, and the flag of the last one.
const (
	chunkNone        uint16 = 0
	chunkData        uint16 = 1
	chunkHole        uint16 = 2
	chunkStatus      uint16 = 5
	chunkError       uint16 = 1<<15 + 1
	chunkErrorOffset uint16 = 1<<15 + 2

	chunkDone uint16 = 1 << 0
)

// States of base:allocation.
const (
	stateHole uint32 = 1 << 0
	stateZero uint32 = 1 << 1
)

// errno is an error as the client gets it.
type errno uint32

const (
	errPermission errno = 1
	errIO         errno = 5
	errInvalid    errno = 22
	errNoSpace    errno = 28
	errUnsupp     errno = 95
)

const (
	// maxRequest is the most that can be read or written at once: what the
	// protocol says all servers should take, and no more.
	maxRequest = 32 << 20
	// maxString bounds names and messages, as the protocol does.
	maxString = 4096

	metaAllocation = "base:allocation"
	metaID         = 1 // of base:allocation, in replies
)

// request is one as the client sent it; data is what is to be written.
type request struct {
	flags  uint16
	cmd    command
	cookie uint64
	off    int64
	len    int64
	data   []byte
}

const requestSize = 28

// decode reads the header of a request; false when it is none.
func (q *request) decode(b []byte) bool {
	q.flags = binary.BigEndian.Uint16(b[4:])
	q.cmd = command(binary.BigEndian.Uint16(b[6:]))
	q.cookie = binary.BigEndian.Uint64(b[8:])
	q.off = int64(binary.BigEndian.Uint64(b[16:]))
	q.len = int64(binary.BigEndian.Uint32(b[24:]))
	q.data = nil
	return binary.BigEndian.Uint32(b) == magicRequest
}
