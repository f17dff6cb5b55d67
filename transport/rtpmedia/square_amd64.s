//go:build !purego

#include "textflag.h"

DATA fourth<>+0(SB)/8, $0x000000000000ffff
DATA fourth<>+8(SB)/8, $0x000000000000ffff
GLOBL fourth<>(SB), RODATA|NOPTR, $16

// func squares(x []int16) int64
//
// Of the products of a vector only those of every fourth sample are not 0:
// one in each half. Any amd64 has these instructions.
TEXT ·squares(SB), NOSPLIT, $0-32
	MOVQ  x_base+0(FP), SI
	MOVQ  x_len+8(FP), CX
	MOVOU fourth<>(SB), X4
	PXOR  X0, X0
	PXOR  X1, X1
	JMP   check

more:
	MOVOU   (SI), X2
	MOVOU   16(SI), X3
	PAND    X4, X2
	PAND    X4, X3
	PMADDWL X2, X2
	PMADDWL X3, X3
	PADDQ   X2, X0
	PADDQ   X3, X1
	ADDQ    $32, SI
	SUBQ    $16, CX

check:
	CMPQ   CX, $16
	JGE    more
	PADDQ  X1, X0
	MOVQ   X0, AX
	PSRLDQ $8, X0
	MOVQ   X0, BX
	ADDQ   BX, AX
	MOVQ   AX, ret+24(FP)
	RET
