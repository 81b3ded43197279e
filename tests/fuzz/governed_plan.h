/* SPDX-License-Identifier: BSD-3-Clause */
/* The plan of seeds/plan/governed, for what is governed by it. */
#ifndef ATR_FUZZ_GOVERNED_PLAN_H
#define ATR_FUZZ_GOVERNED_PLAN_H

static const char governed_plan[] =
	"{\"atr_plan\":1,\"name\":\"governed\",\"version\":1,\"realm\":\"0000000000000001"
	"\",\"ingress\":{\"udp_port\":26400,\"envelope_bytes\":8000},\"sources\":[{\"id\""
	":1,\"name\":\"op-a\",\"role\":\"operators\",\"keys\":[{\"id\":1,\"use\":\"envelo"
	"pes\",\"public\":\"1e29f5566c01b26fa8f866d6c1c36d0c1caa65e482d6e439034db8689acc7"
	"c8c\"}]},{\"id\":2,\"name\":\"op-b\",\"role\":\"operators\",\"keys\":[{\"id\":1,"
	"\"use\":\"envelopes\",\"public\":\"0b992a3d5b03bf2086588dfb18638ba941e6bd78aeb3e"
	"d0ed4eeee69c568e4e0\"}]},{\"id\":3,\"name\":\"op-c\",\"role\":\"operators\",\"ke"
	"ys\":[{\"id\":1,\"use\":\"envelopes\",\"public\":\"f3959da57bb5b3e621fd3542c7ba4"
	"e5f7bfa46ad9bd13871f5fa9223e22c4cfa\"}]},{\"id\":4,\"name\":\"sensor\",\"role\":"
	"\"sensors\",\"keys\":[{\"id\":1,\"use\":\"frames\",\"public\":\"6ff43152c0fd01b4"
	"d89bfca9f5a9188dc6ff8599349629ddf186a74b7d207e28\"}]}],\"types\":[{\"id\":1,\"na"
	"me\":\"reading\",\"binary\":{\"size\":4,\"fields\":[{\"name\":\"celsius\",\"at\""
	":0,\"kind\":\"i32\",\"scale\":3}]}},{\"id\":2,\"name\":\"plan-chunk\",\"governan"
	"ce\":\"chunk\"},{\"id\":3,\"name\":\"plan-change\",\"governance\":\"change\"},{"
	"\"id\":4,\"name\":\"plan-approval\",\"governance\":\"approval\"}],\"topics\":[{"
	"\"id\":1,\"name\":\"reading.cellar\"},{\"id\":2,\"name\":\"plan\"}],\"rules\":[{"
	"\"name\":\"readings\",\"roles\":[\"sensors\"],\"topics\":[\"reading.>\"],\"types"
	"\":[\"reading\"],\"feeds\":[\"all\"]},{\"name\":\"operators change the plan\",\""
	"roles\":[\"operators\"],\"topics\":[\"plan\"],\"types\":[\"plan-chunk\",\"plan-c"
	"hange\",\"plan-approval\"],\"feeds\":[\"plan\"]}],\"feeds\":[{\"id\":0,\"name\":"
	"\"all\",\"durability\":\"commit\",\"destinations\":[{\"to\":\"10.77.0.2:26501\"}"
	"]},{\"id\":1,\"name\":\"plan\",\"durability\":\"commit\",\"destinations\":[]}],"
	"\"governance\":{\"operators\":[\"op-a\",\"op-b\",\"op-c\"],\"approvals\":2}}";

#endif
