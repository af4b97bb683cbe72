#include "textflag.h"

// func subWord(w uint32) uint32
TEXT ·subWord(SB), NOSPLIT, $0-12
	MOVL w+0(FP), AX
	MOVL AX, X0
	PSHUFD $0, X0, X0
	AESKEYGENASSIST $0, X0, X1
	MOVL X1, AX
	MOVL AX, ret+8(FP)
	RET

#define EACH(op) \
	op X8, X0; \
	op X8, X1; \
	op X8, X2; \
	op X8, X3; \
	op X8, X4; \
	op X8, X5; \
	op X8, X6; \
	op X8, X7

#define PLAIN(base, x) \
	MOVUPS (base)(BX*1), X9; \
	PXOR X9, x

// func encryptLanes(l *lanes, first, last *byte, n int)
// AX round key under way, DX the last one, CX blocks left, BX offset.
TEXT ·encryptLanes(SB), NOSPLIT, $0-32
	MOVQ l+0(FP), R14
	MOVQ last+16(FP), DX
	MOVQ n+24(FP), CX
	MOVQ 0(R14), R8
	MOVQ 8(R14), R9
	MOVQ 16(R14), R10
	MOVQ 24(R14), R11
	MOVQ 32(R14), R12
	MOVQ 40(R14), R13
	MOVQ 48(R14), SI
	MOVQ 56(R14), DI
	MOVUPS 64(R14), X0
	MOVUPS 80(R14), X1
	MOVUPS 96(R14), X2
	MOVUPS 112(R14), X3
	MOVUPS 128(R14), X4
	MOVUPS 144(R14), X5
	MOVUPS 160(R14), X6
	MOVUPS 176(R14), X7
	XORQ BX, BX

block:
	PLAIN(R8, X0)
	PLAIN(R9, X1)
	PLAIN(R10, X2)
	PLAIN(R11, X3)
	PLAIN(R12, X4)
	PLAIN(R13, X5)
	PLAIN(SI, X6)
	PLAIN(DI, X7)
	MOVQ first+8(FP), AX
	MOVUPS (AX), X8
	EACH(PXOR)
	ADDQ $16, AX

round:
	MOVUPS (AX), X8
	EACH(AESENC)
	ADDQ $16, AX
	CMPQ AX, DX
	JNE round

	MOVUPS (DX), X8
	EACH(AESENCLAST)
	MOVUPS X0, (R8)(BX*1)
	MOVUPS X1, (R9)(BX*1)
	MOVUPS X2, (R10)(BX*1)
	MOVUPS X3, (R11)(BX*1)
	MOVUPS X4, (R12)(BX*1)
	MOVUPS X5, (R13)(BX*1)
	MOVUPS X6, (SI)(BX*1)
	MOVUPS X7, (DI)(BX*1)
	ADDQ $16, BX
	DECQ CX
	JNZ block

	MOVUPS X0, 64(R14)
	MOVUPS X1, 80(R14)
	MOVUPS X2, 96(R14)
	MOVUPS X3, 112(R14)
	MOVUPS X4, 128(R14)
	MOVUPS X5, 144(R14)
	MOVUPS X6, 160(R14)
	MOVUPS X7, 176(R14)
	RET
