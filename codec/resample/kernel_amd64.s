//go:build !purego

#include "textflag.h"

// Products and sums are rounded one by one, never fused, and each output is
// summed in the order of kernel.go: so both give the same to the bit.

DATA half<>+0(SB)/4, $0.5
GLOBL half<>(SB), RODATA|NOPTR, $4

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

// STORE16 rounds and writes what a and b hold.
#define STORE16(a, b, to) \
	ROUND(a) \
	ROUND(b) \
	VPACKSSDW b, a, a \
	VPERMQ    $0xd8, a, a \
	VMOVDQU   a, to(DI)

// STORE80 rounds and writes the sums Y0 to Y9.
#define STORE80 \
	CONSTANTS \
	STORE16(Y0, Y1, 0) \
	STORE16(Y2, Y3, 32) \
	STORE16(Y4, Y5, 64) \
	STORE16(Y6, Y7, 96) \
	STORE16(Y8, Y9, 128) \
	ADDQ $160, DI \
	ADDQ $320, SI

// STORE8 rounds and writes the sum Y0.
#define STORE8 \
	CONSTANTS \
	ROUND(Y0) \
	VEXTRACTI128 $1, Y0, X1 \
	VPACKSSDW    X1, X0, X0 \
	VMOVDQU      X0, (DI) \
	ADDQ         $16, DI \
	ADDQ         $32, SI

#define CLEAR80 \
	VXORPS Y0, Y0, Y0 \
	VXORPS Y1, Y1, Y1 \
	VXORPS Y2, Y2, Y2 \
	VXORPS Y3, Y3, Y3 \
	VXORPS Y4, Y4, Y4 \
	VXORPS Y5, Y5, Y5 \
	VXORPS Y6, Y6, Y6 \
	VXORPS Y7, Y7, Y7 \
	VXORPS Y8, Y8, Y8 \
	VXORPS Y9, Y9, Y9

// TAP adds to sum what the tap Y10 makes of the samples at R10.
#define TAP(at, tmp, sum) \
	VMULPS at(R10), Y10, tmp \
	VADDPS tmp, sum, sum

// PAIR is the same for the sums of the samples at R10 and R11.
#define PAIR(at, tmp, sum) \
	VMOVUPS at(R10), tmp \
	VADDPS  at(R11), tmp, tmp \
	VMULPS  tmp, Y10, tmp \
	VADDPS  tmp, sum, sum

// func convolveAVX2(dst []int16, x, h []float32, off []int32)
//
// Y0 to Y9 are the sums of 80 outputs, which do not wait for one another: 5 ms
// of 16 kHz. What is left of dst goes by 8.
TEXT ·convolveAVX2(SB), NOSPLIT, $0-96
	MOVQ dst_base+0(FP), DI
	MOVQ dst_len+8(FP), DX
	MOVQ x_base+24(FP), SI
	MOVQ h_base+48(FP), R8
	MOVQ h_len+56(FP), CX
	MOVQ off_base+72(FP), R9
	SUBQ $80, DX
	JLT  rest

eighty:
	CLEAR80
	XORQ BX, BX

taps80:
	MOVLQSX      (R9)(BX*4), R10
	VBROADCASTSS (R8)(BX*4), Y10
	LEAQ         (SI)(R10*4), R10
	TAP(0, Y11, Y0)
	TAP(32, Y12, Y1)
	TAP(64, Y13, Y2)
	TAP(96, Y14, Y3)
	TAP(128, Y15, Y4)
	TAP(160, Y11, Y5)
	TAP(192, Y12, Y6)
	TAP(224, Y13, Y7)
	TAP(256, Y14, Y8)
	TAP(288, Y15, Y9)
	INCQ         BX
	CMPQ         BX, CX
	JLT          taps80

	STORE80
	SUBQ $80, DX
	JGE  eighty

rest:
	ADDQ $72, DX
	JLT  done

eight:
	VXORPS Y0, Y0, Y0
	XORQ   BX, BX

taps8:
	MOVLQSX      (R9)(BX*4), R10
	VBROADCASTSS (R8)(BX*4), Y10
	LEAQ         (SI)(R10*4), R10
	TAP(0, Y11, Y0)
	INCQ         BX
	CMPQ         BX, CX
	JLT          taps8

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
	SUBQ $80, DX
	JLT  rest

eighty:
	CLEAR80
	XORQ BX, BX
	MOVQ AX, R12

taps80:
	MOVLQSX      (R9)(BX*4), R10
	MOVLQSX      (R12), R11
	VBROADCASTSS (R8)(BX*4), Y10
	LEAQ         (SI)(R10*4), R10
	LEAQ         (SI)(R11*4), R11
	PAIR(0, Y11, Y0)
	PAIR(32, Y12, Y1)
	PAIR(64, Y13, Y2)
	PAIR(96, Y14, Y3)
	PAIR(128, Y15, Y4)
	PAIR(160, Y11, Y5)
	PAIR(192, Y12, Y6)
	PAIR(224, Y13, Y7)
	PAIR(256, Y14, Y8)
	PAIR(288, Y15, Y9)
	SUBQ         $4, R12
	INCQ         BX
	CMPQ         BX, CX
	JLT          taps80

	STORE80
	SUBQ $80, DX
	JGE  eighty

rest:
	ADDQ $72, DX
	JLT  done

eight:
	VXORPS Y0, Y0, Y0
	XORQ   BX, BX
	MOVQ AX, R12

taps8:
	MOVLQSX      (R9)(BX*4), R10
	MOVLQSX      (R12), R11
	VBROADCASTSS (R8)(BX*4), Y10
	LEAQ         (SI)(R10*4), R10
	LEAQ         (SI)(R11*4), R11
	PAIR(0, Y11, Y0)
	SUBQ         $4, R12
	INCQ         BX
	CMPQ         BX, CX
	JLT          taps8

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
