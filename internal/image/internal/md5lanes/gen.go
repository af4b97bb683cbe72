//go:build ignore

// This program writes kernel_amd64.s: the compression function of MD5 as RFC
// 1321, section 3.4, defines it, for 16 lanes in AVX-512 registers and for 8
// lanes in AVX2 registers. Run it with `go generate`; with the argument "-"
// it writes to standard output.
package main

import (
	"bytes"
	"fmt"
	"log"
	"math"
	"os"
)

// out collects the assembly.
type out struct{ bytes.Buffer }

func (o *out) p(format string, args ...any) { fmt.Fprintf(o, format+"\n", args...) }

// op writes one indented instruction.
func (o *out) op(format string, args ...any) { o.p("\t"+format, args...) }

// round is one of the four rounds: the word that step i of it uses is
// (first + i*step) mod 16, and the rotations repeat every four steps.
type round struct {
	name        string
	f           func(x, y, z int) int // of single bits
	first, step int
	rot         [4]int
}

// rounds as in RFC 1321, section 3.4. x, y and z are what B, C and D hold.
var rounds = [4]round{
	{"F", func(x, y, z int) int { return x&y | ^x&z&1 }, 0, 1, [4]int{7, 12, 17, 22}},
	{"G", func(x, y, z int) int { return x&z | y&^z&1 }, 1, 5, [4]int{5, 9, 14, 20}},
	{"H", func(x, y, z int) int { return x ^ y ^ z }, 5, 3, [4]int{4, 11, 16, 23}},
	{"I", func(x, y, z int) int { return y ^ (x | ^z&1) }, 0, 7, [4]int{6, 10, 15, 21}},
}

func (r round) word(i int) int { return (r.first + i*r.step) & 15 }

// ternary is the truth table of f as VPTERNLOGD takes it, with z in the
// destination, y in the second and x in the third operand.
func (r round) ternary() int {
	imm := 0
	for i := range 8 {
		imm |= (r.f(i&1, i>>1&1, i>>2&1) & 1) << i
	}
	return imm
}

// steps calls step for all 64 steps with the registers that then play the
// roles of a, b, c and d.
func steps(reg [4]string, step func(i int, r round, a, b, c, d string)) {
	for i := range 64 {
		k := (64 - i) % 4
		step(i, rounds[i/16], reg[k], reg[(k+1)%4], reg[(k+2)%4], reg[(k+3)%4])
	}
}

func table(o *out) {
	o.p("// The constants T[1] to T[64]: the integer part of 2**32 times abs(sin(i)).")
	for i := range 64 {
		o.p("DATA sines<>+%d(SB)/4, $0x%08x", 4*i, uint32(math.Floor(math.Abs(math.Sin(float64(i+1)))*(1<<32))))
	}
	o.p("GLOBL sines<>(SB), RODATA|NOPTR, $256\n")
}

// head loads the arguments: DI state, SI the moving base, R8 offsets, CX the
// count, DX the constants.
func head(o *out, name string, frame int) {
	o.p("// func %s(st *state, base *byte, off *offsets, n uint64)", name)
	flags := "0"
	if frame == 0 {
		flags = "NOSPLIT"
	}
	o.p("TEXT ·%s(SB), %s, $%d-32", name, flags, frame)
	o.op("MOVQ st+0(FP), DI")
	o.op("MOVQ base+8(FP), SI")
	o.op("MOVQ off+16(FP), R8")
	o.op("MOVQ n+24(FP), CX")
	o.op("LEAQ sines<>(SB), DX")
}

// transpose16 turns 16 rows of 16 words, one row for each lane, into 16 words
// of 16 lanes. It returns which register holds which word; spare is a free
// register and may be another one afterwards.
func transpose16(o *out, row [16]string, spare string) [16]string {
	// pair replaces registers a and b by two results of them.
	pair := func(lo, hi string, a, b *string) {
		o.op("%s %s, %s, %s", lo, *b, *a, spare)
		o.op("%s %s, %s, %s", hi, *b, *a, *b)
		*a, spare = spare, *a
	}
	for i := 0; i < 16; i += 2 {
		pair("VPUNPCKLDQ", "VPUNPCKHDQ", &row[i], &row[i+1])
	}
	for i := 0; i < 16; i += 4 {
		pair("VPUNPCKLQDQ", "VPUNPCKHQDQ", &row[i], &row[i+2])
		pair("VPUNPCKLQDQ", "VPUNPCKHQDQ", &row[i+1], &row[i+3])
	}
	// Now row[4q+s] holds, in its quarter k, word 4k+j of lanes 4q to 4q+3,
	// where s is j with its two bits exchanged.
	const even, odd = "VSHUFI32X4 $0x88,", "VSHUFI32X4 $0xdd,"
	var word [16]string
	for j := range 4 {
		s := j>>1 | j&1<<1
		pair(even, odd, &row[s], &row[4+s])
		pair(even, odd, &row[8+s], &row[12+s])
		pair(even, odd, &row[s], &row[8+s])
		pair(even, odd, &row[4+s], &row[12+s])
		word[j], word[8+j] = row[s], row[8+s]
		word[4+j], word[12+j] = row[4+s], row[12+s]
	}
	return word
}

func kernel16(o *out) {
	head(o, "blocks16", 0)
	reg := [4]string{"Z0", "Z1", "Z2", "Z3"}
	saved := [4]string{"Z4", "Z5", "Z6", "Z7"}
	for i, r := range reg {
		o.op("VMOVDQU32 %d(DI), %s", 64*i, r)
	}
	o.p("\nloop16:")
	var row [16]string
	for lane := range row {
		row[lane] = fmt.Sprintf("Z%d", 16+lane)
		o.op("MOVQ %d(R8), AX", 8*lane)
		o.op("VMOVDQU32 (SI)(AX*1), %s", row[lane])
	}
	word := transpose16(o, row, "Z8")
	for i, r := range reg {
		o.op("VMOVDQA32 %s, %s", r, saved[i])
	}
	steps(reg, func(i int, r round, a, b, c, d string) {
		f := []string{"Z9", "Z10"}[i%2]
		o.op("VMOVDQA32 %s, %s", d, f)
		o.op("VPADDD.BCST %d(DX), %s, %s", 4*i, a, a)
		o.op("VPADDD %s, %s, %s", word[r.word(i)], a, a)
		o.op("VPTERNLOGD $0x%02x, %s, %s, %s // %s", r.ternary(), b, c, f, r.name)
		o.op("VPADDD %s, %s, %s", f, a, a)
		o.op("VPROLD $%d, %s, %s", r.rot[i%4], a, a)
		o.op("VPADDD %s, %s, %s", b, a, a)
	})
	for i, r := range reg {
		o.op("VPADDD %s, %s, %s", saved[i], r, r)
	}
	o.op("ADDQ $64, SI")
	o.op("DECQ CX")
	o.op("JNZ loop16\n")
	for i, r := range reg {
		o.op("VMOVDQU32 %s, %d(DI)", r, 64*i)
	}
	o.op("VZEROUPPER")
	o.op("RET\n")
}

// words8 loads 64 bytes of 8 lanes and puts the 16 words, each a register of
// 8 lanes, on the stack at R9.
func words8(o *out) {
	for k := range 4 {
		for i := range 4 {
			o.op("MOVQ %d(R8), AX", 8*i)
			o.op("MOVQ %d(R8), BX", 8*(i+4))
			o.op("VMOVDQU %d(SI)(AX*1), X%d", 16*k, 8+i)
			o.op("VINSERTI128 $1, %d(SI)(BX*1), Y%d, Y%d", 16*k, 8+i, 8+i)
		}
		o.op("VPUNPCKLDQ Y9, Y8, Y12")
		o.op("VPUNPCKHDQ Y9, Y8, Y13")
		o.op("VPUNPCKLDQ Y11, Y10, Y14")
		o.op("VPUNPCKHDQ Y11, Y10, Y15")
		o.op("VPUNPCKLQDQ Y14, Y12, Y8")
		o.op("VPUNPCKHQDQ Y14, Y12, Y9")
		o.op("VPUNPCKLQDQ Y15, Y13, Y10")
		o.op("VPUNPCKHQDQ Y15, Y13, Y11")
		for j := range 4 {
			o.op("VMOVDQA Y%d, %d(R9)", 8+j, 32*(4*k+j))
		}
	}
}

// function8 writes f of b, c, d to Y8. Y7 is all ones, Y9 is free. What does
// not need b, which is the last to be known, comes first.
func function8(o *out, r round, b, c, d string) {
	switch r.name {
	case "F": // ((c ^ d) & b) ^ d
		o.op("VPXOR %s, %s, Y8", c, d)
		o.op("VPAND %s, Y8, Y8", b)
		o.op("VPXOR %s, Y8, Y8", d)
	case "G": // (c &^ d) | (b & d); VPANDN complements its second operand
		o.op("VPANDN %s, %s, Y9", c, d)
		o.op("VPAND %s, %s, Y8", b, d)
		o.op("VPOR Y9, Y8, Y8")
	case "H": // b ^ (c ^ d)
		o.op("VPXOR %s, %s, Y8", c, d)
		o.op("VPXOR %s, Y8, Y8", b)
	case "I": // c ^ (b | ^d)
		o.op("VPXOR Y7, %s, Y8", d)
		o.op("VPOR %s, Y8, Y8", b)
		o.op("VPXOR %s, Y8, Y8", c)
	}
}

func kernel8(o *out) {
	// 512 bytes of words and 31 to begin them on a multiple of 32.
	head(o, "blocks8", 544)
	o.op("LEAQ 31(SP), R9")
	o.op("ANDQ $~31, R9")
	reg := [4]string{"Y0", "Y1", "Y2", "Y3"}
	for i, r := range reg {
		o.op("VMOVDQU %d(DI), %s", 64*i, r)
	}
	o.op("VPCMPEQD Y7, Y7, Y7")
	o.p("\nloop8:")
	words8(o)
	for i, r := range reg {
		o.op("VMOVDQU %s, %d(DI)", r, 64*i)
	}
	steps(reg, func(i int, r round, a, b, c, d string) {
		o.op("VPBROADCASTD %d(DX), Y10", 4*i)
		o.op("VPADDD %d(R9), %s, %s", 32*r.word(i), a, a)
		o.op("VPADDD Y10, %s, %s", a, a)
		function8(o, r, b, c, d)
		o.op("VPADDD Y8, %s, %s // %s", a, a, r.name)
		o.op("VPSLLD $%d, %s, Y9", r.rot[i%4], a)
		o.op("VPSRLD $%d, %s, %s", 32-r.rot[i%4], a, a)
		o.op("VPOR Y9, %s, %s", a, a)
		o.op("VPADDD %s, %s, %s", b, a, a)
	})
	for i, r := range reg {
		o.op("VPADDD %d(DI), %s, %s", 64*i, r, r)
	}
	o.op("ADDQ $64, SI")
	o.op("DECQ CX")
	o.op("JNZ loop8\n")
	for i, r := range reg {
		o.op("VMOVDQU %s, %d(DI)", r, 64*i)
	}
	o.op("VZEROUPPER")
	o.op("RET")
}

func main() {
	log.SetFlags(0)
	var o out
	o.p("// Code generated by gen.go; DO NOT EDIT.\n")
	o.p("#include \"textflag.h\"\n")
	table(&o)
	kernel16(&o)
	kernel8(&o)
	if len(os.Args) > 1 && os.Args[1] == "-" {
		os.Stdout.Write(o.Bytes())
		return
	}
	if err := os.WriteFile("kernel_amd64.s", o.Bytes(), 0o644); err != nil {
		log.Fatal(err)
	}
}
