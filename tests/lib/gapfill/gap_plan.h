/* SPDX-License-Identifier: BSD-3-Clause */
/* The plan of logs whose gaps are filled: feeds 0 "all" and 1 "big", both of class D. */
#ifndef ATR_TEST_GAP_PLAN_H
#define ATR_TEST_GAP_PLAN_H

#define GAP_PLAN_KEY "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"

static const char gap_plan_text[] =
	"{\"atr_plan\":1,\"name\":\"gap\",\"version\":1,\"realm\":\"0000000000000007\","
	"\"ingress\":{\"udp_port\":26400},\"sources\":[{\"id\":1,\"name\":\"s1\",\"role\":\"r\","
	"\"keys\":[{\"id\":1,\"use\":\"frames\",\"public\":\"" GAP_PLAN_KEY "\"}]}],"
	"\"types\":[{\"id\":1,\"name\":\"reading\",\"binary\":{\"size\":8,\"fields\":["
	"{\"name\":\"value\",\"at\":0,\"kind\":\"u32\"}]}},"
	"{\"id\":2,\"name\":\"note\",\"binary\":{\"size\":4,\"fields\":["
	"{\"name\":\"n\",\"at\":0,\"kind\":\"u32\"}],\"tail\":{\"name\":\"t\",\"max\":200}}}],"
	"\"topics\":[{\"id\":1,\"name\":\"a.open\"}],"
	"\"rules\":[{\"name\":\"r\",\"any_source\":true,\"topics\":[\"a.open\"],"
	"\"types\":[\"reading\",\"note\"],\"feeds\":[\"all\"]},"
	"{\"name\":\"b\",\"any_source\":true,\"topics\":[\"a.open\"],\"types\":[\"reading\"],"
	"\"where\":[{\"field\":\"value\",\"op\":\">=\",\"value\":500}],\"feeds\":[\"big\"]}],"
	"\"feeds\":[{\"id\":0,\"name\":\"all\",\"durability\":\"commit\",\"destinations\":[{\"to\":"
	"\"10.0.0.9:5000\"}]},"
	"{\"id\":1,\"name\":\"big\",\"durability\":\"commit\",\"destinations\":[{\"to\":\"10.0.0.9:"
	"5001\"}]}]}";

#endif
