//go:build !purego

#include "textflag.h"

// BEGIN sets a sum to half a step, so that cutting off rounds.
#define BEGIN(sum) VMOVDQA Y15, sum

// TERM adds to sum what the two coefficients Y14 make of the samples at R10.
#define TERM(at, tmp, sum) \
	VPMADDWD at(R10), Y14, tmp \
	VPADDD   tmp, sum, sum

// SHIFT leaves a sum with the binary places of the next stage.
#define SHIFT(sum) VPSRAD X10, sum, sum

#define BEGIN10 \
	BEGIN(Y0) \
	BEGIN(Y1) \
	BEGIN(Y2) \
	BEGIN(Y3) \
	BEGIN(Y4) \
	BEGIN(Y5) \
	BEGIN(Y6) \
	BEGIN(Y7) \
	BEGIN(Y8) \
	BEGIN(Y9) \
	MOVQ R8, R12 \
	MOVQ R9, R13

#define SHIFT10 \
	VMOVD 4(R13), X10 \
	SHIFT(Y0) \
	SHIFT(Y1) \
	SHIFT(Y2) \
	SHIFT(Y3) \
	SHIFT(Y4) \
	SHIFT(Y5) \
	SHIFT(Y6) \
	SHIFT(Y7) \
	SHIFT(Y8) \
	SHIFT(Y9)

// LOAD takes up the next term: R10 is where its samples are.
#define LOAD \
	MOVLQSX      (R12), R10 \
	VPBROADCASTD 4(R12), Y14 \
	LEAQ         (SI)(R10*2), R10 \
	ADDQ         $8, R12

// ARGUMENTS of both functions; R11 is the end of the stages.
#define ARGUMENTS \
	MOVQ         dst_base+0(FP), DI \
	MOVQ         dst_len+8(FP), DX \
	MOVQ         x_base+24(FP), SI \
	MOVQ         terms_base+48(FP), R8 \
	MOVQ         stages_base+72(FP), R9 \
	MOVQ         stages_len+80(FP), R11 \
	LEAQ         (R9)(R11*8), R11 \
	VPBROADCASTD half+96(FP), Y15

// WEAVE writes the sums of even places a and odd ones b, and between them the
// samples that are passed on.
#define WEAVE(a, b, at, to) \
	VPACKSSDW    b, a, a \
	VPSHUFB      Y13, a, a \
	VMOVDQU      at(AX), Y10 \
	VPUNPCKLWD   Y10, a, Y11 \
	VPUNPCKHWD   Y10, a, Y12 \
	VMOVDQU      X11, to(DI) \
	VMOVDQU      X12, (to+16)(DI) \
	VEXTRACTI128 $1, Y11, (to+32)(DI) \
	VEXTRACTI128 $1, Y12, (to+48)(DI)

// Four sums of even places and four of odd ones, into the order of time.
DATA even<>+0(SB)/8, $0x0b0a030209080100
DATA even<>+8(SB)/8, $0x0f0e07060d0c0504
DATA even<>+16(SB)/8, $0x0b0a030209080100
DATA even<>+24(SB)/8, $0x0f0e07060d0c0504
GLOBL even<>(SB), RODATA|NOPTR, $32

// func doubleAVX2(dst, x []int16, terms []term, stages []stage, half int32, middle int)
//
// Two coefficients at a time make every other sum of a load: so there are two
// loads, a sample apart. Y0 to Y9 are 80 sums; what is left goes by 16.
TEXT ·doubleAVX2(SB), NOSPLIT, $0-112
	ARGUMENTS
	MOVQ    middle+104(FP), AX
	LEAQ    (SI)(AX*2), AX
	VMOVDQU even<>(SB), Y13
	SUBQ    $160, DX
	JLT     rest

eighty:
	BEGIN10

stage80:
	MOVLQSX (R13), CX

terms80:
	LOAD
	TERM(0, Y10, Y0)
	TERM(2, Y11, Y1)
	TERM(32, Y12, Y2)
	TERM(34, Y10, Y3)
	TERM(64, Y11, Y4)
	TERM(66, Y12, Y5)
	TERM(96, Y10, Y6)
	TERM(98, Y11, Y7)
	TERM(128, Y12, Y8)
	TERM(130, Y10, Y9)
	DECQ CX
	JNZ  terms80

	SHIFT10
	ADDQ $8, R13
	CMPQ R13, R11
	JLT  stage80

	WEAVE(Y0, Y1, 0, 0)
	WEAVE(Y2, Y3, 32, 64)
	WEAVE(Y4, Y5, 64, 128)
	WEAVE(Y6, Y7, 96, 192)
	WEAVE(Y8, Y9, 128, 256)
	ADDQ $160, SI
	ADDQ $160, AX
	ADDQ $320, DI
	SUBQ $160, DX
	JGE  eighty

rest:
	ADDQ $128, DX
	JLT  done

sixteen:
	BEGIN(Y0)
	BEGIN(Y1)
	MOVQ R8, R12
	MOVQ R9, R13

stage16:
	MOVLQSX (R13), CX

terms16:
	LOAD
	TERM(0, Y10, Y0)
	TERM(2, Y11, Y1)
	DECQ CX
	JNZ  terms16

	VMOVD 4(R13), X10
	SHIFT(Y0)
	SHIFT(Y1)
	ADDQ  $8, R13
	CMPQ  R13, R11
	JLT   stage16

	WEAVE(Y0, Y1, 0, 0)
	ADDQ $32, SI
	ADDQ $32, AX
	ADDQ $64, DI
	SUBQ $32, DX
	JGE  sixteen

done:
	VZEROUPPER
	RET

// PACK writes the sums a and b.
#define PACK(a, b, to) \
	VPACKSSDW b, a, a \
	VPERMQ    $0xd8, a, a \
	VMOVDQU   a, to(DI)

// func halveAVX2(dst, x []int16, terms []term, stages []stage, half int32)
TEXT ·halveAVX2(SB), NOSPLIT, $0-100
	ARGUMENTS
	SUBQ $80, DX
	JLT  rest

eighty:
	BEGIN10

stage80:
	MOVLQSX (R13), CX

terms80:
	LOAD
	TERM(0, Y10, Y0)
	TERM(32, Y11, Y1)
	TERM(64, Y12, Y2)
	TERM(96, Y13, Y3)
	TERM(128, Y10, Y4)
	TERM(160, Y11, Y5)
	TERM(192, Y12, Y6)
	TERM(224, Y13, Y7)
	TERM(256, Y10, Y8)
	TERM(288, Y11, Y9)
	DECQ CX
	JNZ  terms80

	SHIFT10
	ADDQ $8, R13
	CMPQ R13, R11
	JLT  stage80

	PACK(Y0, Y1, 0)
	PACK(Y2, Y3, 32)
	PACK(Y4, Y5, 64)
	PACK(Y6, Y7, 96)
	PACK(Y8, Y9, 128)
	ADDQ $320, SI
	ADDQ $160, DI
	SUBQ $80, DX
	JGE  eighty

rest:
	ADDQ $64, DX
	JLT  done

sixteen:
	BEGIN(Y0)
	BEGIN(Y1)
	MOVQ R8, R12
	MOVQ R9, R13

stage16:
	MOVLQSX (R13), CX

terms16:
	LOAD
	TERM(0, Y10, Y0)
	TERM(32, Y11, Y1)
	DECQ CX
	JNZ  terms16

	VMOVD 4(R13), X10
	SHIFT(Y0)
	SHIFT(Y1)
	ADDQ  $8, R13
	CMPQ  R13, R11
	JLT   stage16

	PACK(Y0, Y1, 0)
	ADDQ $64, SI
	ADDQ $32, DI
	SUBQ $16, DX
	JGE  sixteen

done:
	VZEROUPPER
	RET
