//go:build !purego

#include "textflag.h"

// Products and sums are rounded one by one, never fused, and the sums of each
// output run in the order of kernel.go: so both give the same to the bit.

DATA half<>+0(SB)/4, $0.5
GLOBL half<>(SB), RODATA|NOPTR, $4

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

// ROUND is func round: half is added away from zero, and the rest cut off.
// Y14 holds the sign bits, Y15 the halves.
#define ROUND(x) \
	VANDPS     Y14, x, Y12 \
	VORPS      Y15, Y12, Y12 \
	VADDPS     Y12, x, x \
	VCVTTPS2DQ x, x

#define CONSTANTS \
	VPCMPEQD     Y14, Y14, Y14 \
	VPSLLD       $31, Y14, Y14 \
	VBROADCASTSS half<>(SB), Y15

#define CLEAR \
	VXORPS Y0, Y0, Y0 \
	VXORPS Y1, Y1, Y1 \
	VXORPS Y2, Y2, Y2 \
	VXORPS Y3, Y3, Y3 \
	VXORPS Y4, Y4, Y4 \
	VXORPS Y5, Y5, Y5 \
	VXORPS Y6, Y6, Y6 \
	VXORPS Y7, Y7, Y7

// STORE32 adds the two sums of 32 outputs and writes them.
#define STORE32 \
	VADDPS    Y4, Y0, Y0 \
	VADDPS    Y5, Y1, Y1 \
	VADDPS    Y6, Y2, Y2 \
	VADDPS    Y7, Y3, Y3 \
	ROUND(Y0) \
	ROUND(Y1) \
	ROUND(Y2) \
	ROUND(Y3) \
	VPACKSSDW Y1, Y0, Y0 \
	VPACKSSDW Y3, Y2, Y2 \
	VPERMQ    $0xd8, Y0, Y0 \
	VPERMQ    $0xd8, Y2, Y2 \
	VMOVDQU   Y0, (DI) \
	VMOVDQU   Y2, 32(DI) \
	ADDQ      $64, DI \
	ADDQ      $128, SI

// STORE8 is the same for 8 outputs.
#define STORE8 \
	VADDPS       Y4, Y0, Y0 \
	ROUND(Y0) \
	VEXTRACTI128 $1, Y0, X1 \
	VPACKSSDW    X1, X0, X0 \
	VMOVDQU      X0, (DI) \
	ADDQ         $16, DI \
	ADDQ         $32, SI

// TAP32 multiplies 32 samples from x on by h, and adds them to the sums.
#define TAP32(x, h, a, b, c, d) \
	VMULPS (x), h, Y10 \
	VMULPS 32(x), h, Y11 \
	VMULPS 64(x), h, Y12 \
	VMULPS 96(x), h, Y13 \
	VADDPS Y10, a, a \
	VADDPS Y11, b, b \
	VADDPS Y12, c, c \
	VADDPS Y13, d, d

// PAIR32 is TAP32 for the sums of the samples from x and from y on.
#define PAIR32(x, y, h, a, b, c, d) \
	VMOVUPS (x), Y10 \
	VMOVUPS 32(x), Y11 \
	VMOVUPS 64(x), Y12 \
	VMOVUPS 96(x), Y13 \
	VADDPS  (y), Y10, Y10 \
	VADDPS  32(y), Y11, Y11 \
	VADDPS  64(y), Y12, Y12 \
	VADDPS  96(y), Y13, Y13 \
	VMULPS  Y10, h, Y10 \
	VMULPS  Y11, h, Y11 \
	VMULPS  Y12, h, Y12 \
	VMULPS  Y13, h, Y13 \
	VADDPS  Y10, a, a \
	VADDPS  Y11, b, b \
	VADDPS  Y12, c, c \
	VADDPS  Y13, d, d

// func convolveAVX2(dst []int16, x, h []float32, off []int32)
//
// Y0 to Y3 are the sums of the even taps, Y4 to Y7 those of the odd ones: 32
// outputs, whose 8 sums do not wait for one another.
TEXT ·convolveAVX2(SB), NOSPLIT, $0-96
	MOVQ dst_base+0(FP), DI
	MOVQ dst_len+8(FP), DX
	MOVQ x_base+24(FP), SI
	MOVQ h_base+48(FP), R8
	MOVQ h_len+56(FP), CX
	MOVQ off_base+72(FP), R9
	CONSTANTS
	SUBQ $32, DX
	JLT  rest

block:
	CLEAR
	XORQ BX, BX

taps:
	MOVLQSX      (R9)(BX*4), R10
	MOVLQSX      4(R9)(BX*4), R11
	VBROADCASTSS (R8)(BX*4), Y8
	VBROADCASTSS 4(R8)(BX*4), Y9
	LEAQ         (SI)(R10*4), R10
	LEAQ         (SI)(R11*4), R11
	TAP32(R10, Y8, Y0, Y1, Y2, Y3)
	TAP32(R11, Y9, Y4, Y5, Y6, Y7)
	ADDQ         $2, BX
	CMPQ         BX, CX
	JLT          taps

	STORE32
	SUBQ $32, DX
	JGE  block

rest:
	ADDQ $24, DX
	JLT  done

eight:
	VXORPS Y0, Y0, Y0
	VXORPS Y4, Y4, Y4
	XORQ   BX, BX

eightTaps:
	MOVLQSX      (R9)(BX*4), R10
	MOVLQSX      4(R9)(BX*4), R11
	VBROADCASTSS (R8)(BX*4), Y8
	VBROADCASTSS 4(R8)(BX*4), Y9
	VMULPS       (SI)(R10*4), Y8, Y10
	VMULPS       (SI)(R11*4), Y9, Y11
	VADDPS       Y10, Y0, Y0
	VADDPS       Y11, Y4, Y4
	ADDQ         $2, BX
	CMPQ         BX, CX
	JLT          eightTaps

	STORE8
	SUBQ $8, DX
	JGE  eight

done:
	VZEROUPPER
	RET

// func foldAVX2(dst []int16, x, h []float32, off []int32)
//
// As convolveAVX2; R12 runs through off from its end.
TEXT ·foldAVX2(SB), NOSPLIT, $0-96
	MOVQ dst_base+0(FP), DI
	MOVQ dst_len+8(FP), DX
	MOVQ x_base+24(FP), SI
	MOVQ h_base+48(FP), R8
	MOVQ h_len+56(FP), CX
	MOVQ off_base+72(FP), R9
	MOVQ off_len+80(FP), AX
	LEAQ -4(R9)(AX*4), AX
	CONSTANTS
	SUBQ $32, DX
	JLT  rest

block:
	CLEAR
	XORQ BX, BX
	MOVQ AX, R12

pairs:
	MOVLQSX      (R9)(BX*4), R10
	MOVLQSX      (R12), R11
	VBROADCASTSS (R8)(BX*4), Y8
	LEAQ         (SI)(R10*4), R10
	LEAQ         (SI)(R11*4), R11
	PAIR32(R10, R11, Y8, Y0, Y1, Y2, Y3)
	MOVLQSX      4(R9)(BX*4), R10
	MOVLQSX      -4(R12), R11
	VBROADCASTSS 4(R8)(BX*4), Y9
	LEAQ         (SI)(R10*4), R10
	LEAQ         (SI)(R11*4), R11
	PAIR32(R10, R11, Y9, Y4, Y5, Y6, Y7)
	SUBQ         $8, R12
	ADDQ         $2, BX
	CMPQ         BX, CX
	JLT          pairs

	STORE32
	SUBQ $32, DX
	JGE  block

rest:
	ADDQ $24, DX
	JLT  done

eight:
	VXORPS Y0, Y0, Y0
	VXORPS Y4, Y4, Y4
	XORQ   BX, BX
	MOVQ   AX, R12

eightPairs:
	MOVLQSX      (R9)(BX*4), R10
	MOVLQSX      4(R9)(BX*4), R11
	VMOVUPS      (SI)(R10*4), Y10
	VMOVUPS      (SI)(R11*4), Y11
	MOVLQSX      (R12), R10
	MOVLQSX      -4(R12), R11
	VADDPS       (SI)(R10*4), Y10, Y10
	VADDPS       (SI)(R11*4), Y11, Y11
	VBROADCASTSS (R8)(BX*4), Y8
	VBROADCASTSS 4(R8)(BX*4), Y9
	VMULPS       Y10, Y8, Y10
	VMULPS       Y11, Y9, Y11
	VADDPS       Y10, Y0, Y0
	VADDPS       Y11, Y4, Y4
	SUBQ         $8, R12
	ADDQ         $2, BX
	CMPQ         BX, CX
	JLT          eightPairs

	STORE8
	SUBQ $8, DX
	JGE  eight

done:
	VZEROUPPER
	RET

// func dotAVX2(h, x []float32) float32
TEXT ·dotAVX2(SB), NOSPLIT, $0-52
	MOVQ   h_base+0(FP), R8
	MOVQ   h_len+8(FP), CX
	MOVQ   x_base+24(FP), SI
	VXORPS Y0, Y0, Y0
	XORQ   BX, BX

products:
	VMOVUPS (R8)(BX*4), Y1
	VMULPS  (SI)(BX*4), Y1, Y1
	VADDPS  Y1, Y0, Y0
	ADDQ    $8, BX
	CMPQ    BX, CX
	JLT     products

	VHADDPS      Y0, Y0, Y0
	VHADDPS      Y0, Y0, Y0
	VEXTRACTF128 $1, Y0, X1
	VADDSS       X1, X0, X0
	VMOVSS       X0, ret+48(FP)
	VZEROUPPER
	RET

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
