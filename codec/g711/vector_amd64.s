//go:build !purego

#include "textflag.h"

// What the four bits of sign and segment stand for, sign or not.
DATA power<>+0(SB)/8, $0x8040201008040201
DATA power<>+8(SB)/8, $0x8040201008040201
DATA powerA<>+0(SB)/8, $0x4020100804020101
DATA powerA<>+8(SB)/8, $0x4020100804020101
DATA above<>+0(SB)/8, $0x0101010101010100 // all segments but the first
DATA above<>+8(SB)/8, $0x0101010101010100
GLOBL power<>(SB), RODATA|NOPTR, $16
GLOBL powerA<>(SB), RODATA|NOPTR, $16
GLOBL above<>(SB), RODATA|NOPTR, $16

// Words that are the same in all lanes, in pairs.
DATA words<>+0(SB)/4, $0x00ff00ff // all bits of a µ-law code are inverted
DATA words<>+4(SB)/4, $0x00d500d5 // every other of an A-law code, and its sign
DATA words<>+8(SB)/4, $0x000f000f
DATA words<>+12(SB)/4, $0x80008000 // no entry of a table
DATA words<>+16(SB)/4, $0x00840084
DATA words<>+20(SB)/4, $0x00080008
DATA words<>+24(SB)/4, $0x00010001
DATA words<>+28(SB)/4, $0x00800080
DATA words<>+32(SB)/4, $0x00210021
DATA words<>+36(SB)/4, $0x1fff1fff
DATA words<>+40(SB)/4, $0x08400840 // exponent 132 of a float32, in units of 1/16
DATA words<>+44(SB)/4, $0x08200820 // exponent 130
DATA words<>+48(SB)/4, $0x001f001f
GLOBL words<>(SB), RODATA|NOPTR, $52

#define ALL(at, y) VPBROADCASTD words<>+at(SB), y

// SPLIT takes 16 codes apart: Y0 is the code, without inversions by Y15, Y1
// the four bits of the mantissa, Y2 indices of a table by sign and segment.
#define SPLIT \
	VPMOVZXBW (SI), Y0 \
	VPXOR     Y15, Y0, Y0 \
	VPAND     Y14, Y0, Y1 \
	VPSRLW    $4, Y0, Y2 \
	VPOR      Y13, Y2, Y2

// func decodeUlawAVX2(dst []int16, src []byte)
TEXT ·decodeUlawAVX2(SB), NOSPLIT, $0-48
	MOVQ           dst_base+0(FP), DI
	MOVQ           dst_len+8(FP), CX
	MOVQ           src_base+24(FP), SI
	ALL(0, Y15)
	ALL(8, Y14)
	ALL(12, Y13)
	ALL(16, Y12)
	VBROADCASTI128 power<>(SB), Y11
	JMP            check

more:
	SPLIT
	VPSLLW  $3, Y1, Y1
	VPADDW  Y12, Y1, Y1
	VPSHUFB Y2, Y11, Y2
	VPMULLW Y2, Y1, Y1
	VPSUBW  Y12, Y1, Y1
	VPSLLW  $8, Y0, Y0
	VPSIGNW Y0, Y1, Y1
	VMOVDQU Y1, (DI)
	ADDQ    $16, SI
	ADDQ    $32, DI
	SUBQ    $16, CX

check:
	CMPQ CX, $16
	JGE  more
	VZEROUPPER
	RET

// func decodeAlawAVX2(dst []int16, src []byte)
TEXT ·decodeAlawAVX2(SB), NOSPLIT, $0-48
	MOVQ           dst_base+0(FP), DI
	MOVQ           dst_len+8(FP), CX
	MOVQ           src_base+24(FP), SI
	ALL(4, Y15)
	ALL(8, Y14)
	ALL(12, Y13)
	ALL(20, Y12)
	ALL(24, Y9)
	VBROADCASTI128 powerA<>(SB), Y11
	VBROADCASTI128 above<>(SB), Y10
	JMP            check

more:
	SPLIT
	VPSLLW  $4, Y1, Y1
	VPADDW  Y12, Y1, Y1
	VPSHUFB Y2, Y10, Y3
	VPSLLW  $8, Y3, Y3
	VPADDW  Y3, Y1, Y1
	VPSHUFB Y2, Y11, Y2
	VPMULLW Y2, Y1, Y1
	VPSLLW  $8, Y0, Y0
	VPOR    Y9, Y0, Y0 // else VPSIGNW makes 0 of code 0
	VPSIGNW Y0, Y1, Y1
	VMOVDQU Y1, (DI)
	ADDQ    $16, SI
	ADDQ    $32, DI
	SUBQ    $16, CX

check:
	CMPQ CX, $16
	JGE  more
	VZEROUPPER
	RET

// FLOAT makes of each Y0 the exponent and the first four bits of the mantissa
// of a float32, in Y2: segment and mantissa of both laws, but for a constant.
#define FLOAT \
	VEXTRACTI128 $1, Y0, X3 \
	VPMOVZXWD    X0, Y2 \
	VPMOVZXWD    X3, Y3 \
	VCVTDQ2PS    Y2, Y2 \
	VCVTDQ2PS    Y3, Y3 \
	VPSRLD       $19, Y2, Y2 \
	VPSRLD       $19, Y3, Y3 \
	VPACKUSDW    Y3, Y2, Y2 \
	VPERMQ       $0xd8, Y2, Y2

// STORE writes the codes Y2 of samples whose sign is all of Y1, with their
// inversions Y15.
#define STORE \
	VPAND        Y13, Y1, Y1 \
	VPOR         Y1, Y2, Y2 \
	VPXOR        Y15, Y2, Y2 \
	VEXTRACTI128 $1, Y2, X3 \
	VPACKUSWB    X3, X2, X2 \
	VMOVDQU      X2, (DI)

// func encodeUlawAVX2(dst []byte, src []int16)
TEXT ·encodeUlawAVX2(SB), NOSPLIT, $0-48
	MOVQ dst_base+0(FP), DI
	MOVQ dst_len+8(FP), CX
	MOVQ src_base+24(FP), SI
	ALL(0, Y15)
	ALL(28, Y13)
	ALL(32, Y12)
	ALL(36, Y11)
	ALL(40, Y10)
	JMP  check

more:
	VMOVDQU (SI), Y0
	VPSRAW  $15, Y0, Y1
	VPSRAW  $2, Y0, Y0
	VPXOR   Y1, Y0, Y0
	VPADDW  Y12, Y0, Y0
	VPMINSW Y11, Y0, Y0
	FLOAT
	VPSUBW  Y10, Y2, Y2
	STORE
	ADDQ    $32, SI
	ADDQ    $16, DI
	SUBQ    $16, CX

check:
	CMPQ CX, $16
	JGE  more
	VZEROUPPER
	RET

// func encodeAlawAVX2(dst []byte, src []int16)
//
// The first two segments are linear: what is less than 32 is its own code.
TEXT ·encodeAlawAVX2(SB), NOSPLIT, $0-48
	MOVQ dst_base+0(FP), DI
	MOVQ dst_len+8(FP), CX
	MOVQ src_base+24(FP), SI
	ALL(4, Y15)
	ALL(28, Y13)
	ALL(44, Y10)
	ALL(48, Y9)
	JMP  check

more:
	VMOVDQU   (SI), Y0
	VPSRAW    $15, Y0, Y1
	VPSRAW    $4, Y0, Y0
	VPXOR     Y1, Y0, Y0
	FLOAT
	VPSUBW    Y10, Y2, Y2
	VPCMPGTW  Y9, Y0, Y3
	VPBLENDVB Y3, Y2, Y0, Y2
	STORE
	ADDQ      $32, SI
	ADDQ      $16, DI
	SUBQ      $16, CX

check:
	CMPQ CX, $16
	JGE  more
	VZEROUPPER
	RET
