//go:build !purego

#include "textflag.h"

// Three arrays, each blended out of three vectors, into the order of time.
DATA ordered<>+0(SB)/8, $0x0000000300000000
DATA ordered<>+8(SB)/8, $0x0000000100000006
DATA ordered<>+16(SB)/8, $0x0000000700000004
DATA ordered<>+24(SB)/8, $0x0000000500000002
DATA ordered<>+32(SB)/8, $0x0000000400000001
DATA ordered<>+40(SB)/8, $0x0000000200000007
DATA ordered<>+48(SB)/8, $0x0000000000000005
DATA ordered<>+56(SB)/8, $0x0000000600000003
DATA ordered<>+64(SB)/8, $0x0000000500000002
DATA ordered<>+72(SB)/8, $0x0000000300000000
DATA ordered<>+80(SB)/8, $0x0000000100000006
DATA ordered<>+88(SB)/8, $0x0000000700000004
GLOBL ordered<>(SB), RODATA|NOPTR, $96

// Three slots, each out of the order of time, ready to be blended.
DATA spread<>+0(SB)/8, $0x03020d0c07060100
DATA spread<>+8(SB)/8, $0x0b0a05040f0e0908
DATA spread<>+16(SB)/8, $0x0d0c070601000b0a
DATA spread<>+24(SB)/8, $0x05040f0e09080302
DATA spread<>+32(SB)/8, $0x070601000b0a0504
DATA spread<>+40(SB)/8, $0x0f0e090803020d0c
GLOBL spread<>(SB), RODATA|NOPTR, $48

// func split1AVX2(dst []float32, src []int16)
TEXT ·split1AVX2(SB), NOSPLIT, $0-48
	MOVQ dst_base+0(FP), DI
	MOVQ dst_len+8(FP), CX
	MOVQ src_base+24(FP), SI
	XORQ BX, BX
	JMP  check

more:
	VPMOVSXWD (SI)(BX*2), Y0
	VCVTDQ2PS Y0, Y0
	VMOVUPS   Y0, (DI)(BX*4)
	ADDQ      $8, BX

check:
	CMPQ BX, CX
	JLT  more
	VZEROUPPER
	RET

// func split2AVX2(a, b []float32, src []int16)
TEXT ·split2AVX2(SB), NOSPLIT, $0-72
	MOVQ a_base+0(FP), DI
	MOVQ a_len+8(FP), CX
	MOVQ b_base+24(FP), R8
	MOVQ src_base+48(FP), SI
	XORQ BX, BX
	JMP  check

more:
	VMOVDQU   (SI)(BX*4), Y1
	VPSLLD    $16, Y1, Y0
	VPSRAD    $16, Y0, Y0
	VPSRAD    $16, Y1, Y1
	VCVTDQ2PS Y0, Y0
	VCVTDQ2PS Y1, Y1
	VMOVUPS   Y0, (DI)(BX*4)
	VMOVUPS   Y1, (R8)(BX*4)
	ADDQ      $8, BX

check:
	CMPQ BX, CX
	JLT  more
	VZEROUPPER
	RET

// func split3AVX2(a, b, c []float32, src []int16)
//
// Of 24 samples in three vectors, each array takes 8 from places that do not
// meet: they are blended into one vector, and then put in order.
TEXT ·split3AVX2(SB), NOSPLIT, $0-96
	MOVQ    a_base+0(FP), DI
	MOVQ    a_len+8(FP), CX
	MOVQ    b_base+24(FP), R8
	MOVQ    c_base+48(FP), R9
	MOVQ    src_base+72(FP), SI
	VMOVDQU ordered<>+0(SB), Y8
	VMOVDQU ordered<>+32(SB), Y9
	VMOVDQU ordered<>+64(SB), Y10
	XORQ    BX, BX
	JMP     check

more:
	VPMOVSXWD (SI), Y0
	VPMOVSXWD 16(SI), Y1
	VPMOVSXWD 32(SI), Y2
	VCVTDQ2PS Y0, Y0
	VCVTDQ2PS Y1, Y1
	VCVTDQ2PS Y2, Y2
	VBLENDPS  $0x92, Y1, Y0, Y3
	VBLENDPS  $0x24, Y1, Y0, Y4
	VBLENDPS  $0x49, Y1, Y0, Y5
	VBLENDPS  $0x24, Y2, Y3, Y3
	VBLENDPS  $0x49, Y2, Y4, Y4
	VBLENDPS  $0x92, Y2, Y5, Y5
	VPERMPS   Y3, Y8, Y3
	VPERMPS   Y4, Y9, Y4
	VPERMPS   Y5, Y10, Y5
	VMOVUPS   Y3, (DI)(BX*4)
	VMOVUPS   Y4, (R8)(BX*4)
	VMOVUPS   Y5, (R9)(BX*4)
	ADDQ      $48, SI
	ADDQ      $8, BX

check:
	CMPQ BX, CX
	JLT  more
	VZEROUPPER
	RET

// func weave2AVX2(dst, a, b []int16)
TEXT ·weave2AVX2(SB), NOSPLIT, $0-72
	MOVQ dst_base+0(FP), DI
	MOVQ a_base+24(FP), SI
	MOVQ a_len+32(FP), CX
	MOVQ b_base+48(FP), R8
	XORQ BX, BX
	JMP  check

more:
	VMOVDQU    (SI)(BX*2), X0
	VMOVDQU    (R8)(BX*2), X1
	VPUNPCKLWD X1, X0, X2
	VPUNPCKHWD X1, X0, X3
	VMOVDQU    X2, (DI)(BX*4)
	VMOVDQU    X3, 16(DI)(BX*4)
	ADDQ       $8, BX

check:
	CMPQ BX, CX
	JLT  more
	VZEROUPPER
	RET

// func weave3AVX2(dst, a, b, c []int16)
//
// The way back of split3AVX2.
TEXT ·weave3AVX2(SB), NOSPLIT, $0-96
	MOVQ    dst_base+0(FP), DI
	MOVQ    a_base+24(FP), SI
	MOVQ    a_len+32(FP), CX
	MOVQ    b_base+48(FP), R8
	MOVQ    c_base+72(FP), R9
	VMOVDQU spread<>+0(SB), X8
	VMOVDQU spread<>+16(SB), X9
	VMOVDQU spread<>+32(SB), X10
	XORQ    BX, BX
	JMP     check

more:
	VMOVDQU  (SI)(BX*2), X0
	VMOVDQU  (R8)(BX*2), X1
	VMOVDQU  (R9)(BX*2), X2
	VPSHUFB  X8, X0, X0
	VPSHUFB  X9, X1, X1
	VPSHUFB  X10, X2, X2
	VPBLENDW $0x92, X1, X0, X3
	VPBLENDW $0x92, X0, X2, X4
	VPBLENDW $0x92, X2, X1, X5
	VPBLENDW $0x24, X2, X3, X3
	VPBLENDW $0x24, X1, X4, X4
	VPBLENDW $0x24, X0, X5, X5
	VMOVDQU  X3, (DI)
	VMOVDQU  X4, 16(DI)
	VMOVDQU  X5, 32(DI)
	ADDQ     $48, DI
	ADDQ     $8, BX

check:
	CMPQ BX, CX
	JLT  more
	VZEROUPPER
	RET
