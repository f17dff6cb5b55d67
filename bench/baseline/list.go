package main

import "strings"

// A benchmark is one of ours, without peers and floors, and deterministic: two
// counts of it differ by a percent, and seldom by two.
type benchmark struct {
	pkg string // below the module
	run string // without "Benchmark", as it is printed
	n   int    // how often it is run, so that it is at least 25 M instructions
}

func (b benchmark) name() string { return b.pkg + " " + b.function() }

func (b benchmark) function() string { return "Benchmark" + b.run }

// pattern is b's for -test.bench, and no other's.
func (b benchmark) pattern() string {
	return "^" + strings.ReplaceAll(b.function(), "/", "$/^") + "$"
}

// hotPath is what a frame meets on its way in and out. Not in it: what sockets
// and other goroutines are part of, for they do not count alike twice; and
// engine/record's BenchmarkRecord, whose headers are written by the clock.
var hotPath = []benchmark{
	{"engine/ring", "PushPop/ring", 100_000},
	{"engine/ring", "ZeroCopy/one", 500_000},
	{"engine/ring", "ZeroCopy/batch-of-16", 100_000},

	{"transport/acsws", "Parse", 15_000},
	{"transport/acsws", "ParseDecode", 10_000},
	{"transport/acsws", "DecodePCM", 30_000},
	{"transport/acsws", "AppendAudio/16k", 30_000},
	{"transport/acsws", "AppendAudio/24k", 20_000},
	{"transport/acsws", "Reassembler", 30_000},
	{"transport/acsws", "ParseFallback/key", 1_000},

	{"bench", "Inbound/tap", 10_000},
	{"bench", "Inbound/handler", 10_000},
	{"bench", "Outbound/payload", 30_000},
	{"bench", "Outbound/source", 15_000},
	{"bench", "RTP/in/PCMU/legs=1", 5_000},
	{"bench", "RTP/out/PCMU/legs=1", 4_000},
	{"bench", "RTP/echo/PCMU/legs=1", 2_500},

	{"codec/g711", "Frame/A-law/encode/ours", 100_000},
	{"codec/g711", "Frame/A-law/decode/ours", 100_000},
	{"codec/g711", "Frame/µ-law/encode/ours", 100_000},
	{"codec/g711", "Frame/µ-law/decode/ours", 100_000},
	{"codec/g722", "Frame/decode/ours", 500},
	{"codec/g722", "Frame/encode", 300},
	{"codec/l16", "Frame/DecodeBE", 15_000},
	{"codec/l16", "Frame/EncodeBE", 15_000},
	{"codec/l16", "Frame/DecodeLE", 200_000},
	{"codec/l16", "Frame/AppendLE", 200_000},
	{"codec/opus", "Frame/encode/complexity_5", 200},
	{"codec/opus", "Frame/decode", 500},
	{"codec/resample", "Frame/24000to16000", 5_000},
	{"codec/resample", "Frame/16000to24000", 5_000},
	{"codec/resample", "Frame/8000to16000", 15_000},
	{"codec/resample", "Frame/16000to8000", 10_000},
	{"codec/resample", "Frame/48000to16000", 3_000},
	{"codec/resample", "Frame/16000to48000", 3_000},
	{"codec/resample", "Frame/go/24000to16000", 500},

	{"engine/mix", "MixMinus16/level-2048", 1_000},
	{"engine/mix", "MixMinus16/level-8192", 1_000},
	{"engine/mix", "Assembler/speakers-1", 10_000},
	{"engine/mix", "Assembler/speakers-16", 20_000},
	{"engine/dsp", "Measure", 15_000},
	{"engine/dsp", "IsSilent", 15_000},
	{"engine/dsp", "VAD", 15_000},
	{"engine", "Ingest", 50_000},
	{"engine", "SourceDirect", 30_000},
	{"engine", "Listener", 5_000},
	{"engine/record", "Sweep", 10_000},

	{"transport/rtpmedia", "Jitter/in_order", 60_000},
	{"transport/rtpmedia", "Jitter/swapped", 60_000},
	{"transport/rtpmedia", "Inbound/quick", 15_000},
	{"transport/rtpmedia", "Inbound/PCMU", 6_000},
	{"transport/rtpmedia", "Outbound/quick", 100_000},
	{"transport/rtpmedia", "Outbound/PCMU", 6_000},
	{"transport/rtpmedia", "Conceal/fill", 400},
	{"transport/rtpmedia", "Conceal/bridge", 300},
	{"transport/rtpmedia", "PacketParse/ours", 400_000},
	{"transport/rtpmedia", "PacketAppend/ours", 300_000},
	{"transport/rtpleg", "Media/PCMU/leg", 1_000},
	{"transport/rtpleg", "Media/source", 30_000},
	{"transport/rtpleg", "Idle", 100_000},
	{"transport/rtc", "Stream", 100_000},
}
