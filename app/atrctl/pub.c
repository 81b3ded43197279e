/* SPDX-License-Identifier: BSD-3-Clause */
#include "pub.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "interrupt.h"

#define TREE_MAX    65536
#define MTU_MIN     576
#define MTU_MAX     9000
#define RATE_MAX    100000000
#define WAIT_MAX    60000
#define RETRY_MAX   20
#define WINDOW_MAX  4096
#define REPEAT_MAX  1000
#define TIMEOUT_MAX 86400

static const struct usage usage = {
	"pub --plan FILE (--source NAME --key FILE | --key-dir DIR) --to IP:PORT\n"
	"           (--jsonl FILE | --csv FILE | --generate COUNT) --as frames|envelopes ...",
	"Publishes events. A JSON line is {\"topic\",\"type\",\"payload\"} and, if wanted,\n"
	"\"timestamp\", \"source\", \"priority\" (0 best to 3), \"meta\" and \"id\" (envelopes). "
	"In CSV,\n"
	"columns of these names are the same, every other column is a member of the payload.\n"
	"\n"
	"As frames, payload members in engineering units become the binary fields of the\n"
	"type (raw = value * 10^scale, which must be exact; null is the absent value), and\n"
	"frames are signed in Merkle trees. The outbox keeps them on disk until the\n"
	"appliance has acknowledged or finally refused them; the next run sends what is\n"
	"left, the same bytes, and goes on counting. With --no-acks, for an appliance of\n"
	"durability none, they are sent once, and --sequence-file keeps the count.\n"
	"\n"
	"As envelopes, every event is signed on its own; replies are awaited, and what is\n"
	"not answered is sent again, the same bytes, waiting twice as long each time.\n"
	"\n"
	"Lines that do not fit are refused with their number, the others are published.",
	"  atrctl pub --plan plan.json --source ci --key ci.key --to 10.77.0.1:26400 \\\n"
	"      --jsonl quakes.jsonl --as frames --outbox ci.outbox --acks-key 3b6a...\n"
	"  atrctl pub --plan plan.json --key-dir keys --to 10.77.0.1:26400 \\\n"
	"      --jsonl - --as envelopes --rate 5000 < quakes.jsonl\n"
	"  atrctl pub --plan plan.json --source ci --key ci.key --to 10.77.0.1:26400 \\\n"
	"      --generate 100000 --topic quake.ci --type quake --as frames \\\n"
	"      --no-acks --first-sequence 1 --save in.pcap --from 10.77.0.2:4000",
};

static int check_frames(const struct pub_options *o)
{
	bool unacknowledged = o->sequence_path || o->output.save || o->output.shuffle.given;

	if (o->no_acks && (o->outbox || o->acks_key))
		return usage_error("pub", "--no-acks excludes --outbox and --acks-key");
	if (!o->no_acks && unacknowledged)
		return usage_error("pub",
				   "--sequence-file, --save and --shuffle are for frames without "
				   "acknowledgements: give --no-acks, too");
	if (!o->no_acks && (!o->outbox || !o->acks_key))
		return usage_error("pub",
				   "frames need --outbox DIR (kept across runs) and --acks-key HEX "
				   "('atrctl status' shows it), or --no-acks for an appliance "
				   "without durability");
	if (!o->no_acks)
		return EXIT_OK;
	if (o->sequence_path && o->first_sequence.given)
		return usage_error("pub",
				   "--sequence-file and --first-sequence exclude each other; "
				   "to skip sequences, raise next in the file");
	if (!o->sequence_path && !o->first_sequence.given)
		return usage_error("pub",
				   "frames with --no-acks need --sequence-file FILE (kept across "
				   "runs) or --first-sequence N (you take care that none is used "
				   "twice)");
	return EXIT_OK;
}

static int check_options(struct pub *pub)
{
	struct pub_options *o = &pub->options;
	bool frames;

	if (!o->plan)
		return usage_error("pub", "--plan FILE is needed: it names realm, types and keys");
	if (!o->as || (strcmp(o->as, "frames") != 0 && strcmp(o->as, "envelopes") != 0))
		return usage_error("pub", "--as frames or --as envelopes is needed");
	frames = strcmp(o->as, "frames") == 0;
	if (frames)
		return check_frames(o);
	if (o->outbox || o->acks_key || o->no_acks || o->sequence_path || o->first_sequence.given ||
	    o->tree.given || o->timeout.given)
		return usage_error("pub", "--outbox, --acks-key, --no-acks, --sequence-file, "
					  "--first-sequence, --tree and --timeout are for frames; "
					  "envelopes have UUIDs and are answered");
	return EXIT_OK;
}

static int open_all(struct pub *pub, char *error)
{
	struct pub_options *o = &pub->options;

	pub->parser = atr_json_parser_create();
	pub->buffers = malloc(sizeof(*pub->buffers));
	if (!pub->parser || !pub->buffers) {
		snprintf(error, ERROR_SIZE, "out of memory");
		return -ENOMEM;
	}
	pub->plan = atr_plan_load_file(o->plan, error, ERROR_SIZE);
	if (!pub->plan)
		return -EINVAL;
	pub->ring.plan = pub->plan;
	pub->ring.use = strcmp(o->as, "frames") == 0 ? ATR_KEY_FRAMES : ATR_KEY_ENVELOPES;
	if (keyring_open(&pub->ring, error) || pub_input_open(pub, error))
		return -EINVAL;
	if (o->sequence_path) {
		pub->sequences = sequence_file_open(o->sequence_path, error);
		if (!pub->sequences)
			return -EINVAL;
	}
	return 0;
}

static void close_all(struct pub *pub)
{
	sequence_file_close(pub->sequences);
	pub_input_close(pub);
	if (pub->plan)
		keyring_close(&pub->ring);
	atr_plan_free(pub->plan);
	free(pub->buffers);
	if (pub->parser)
		atr_json_parser_destroy(pub->parser);
}

static int publish(struct pub *pub, char *error)
{
	int status, err;

	if (output_open(&pub->output, &pub->options.output, error))
		return usage_error("pub", "%s", error);
	interrupt_catch();
	progress_start(&pub->progress, pub->options.progress);
	pub->output.progress = &pub->progress;
	if (strcmp(pub->options.as, "frames") == 0)
		err = pub_frames_run(pub, error);
	else
		err = pub_envelopes_run(pub, error);
	progress_end(&pub->progress);
	if (output_close(&pub->output) && !err) {
		snprintf(error, ERROR_SIZE, "%s could not be written; is the disk full?",
			 pub->options.output.save);
		err = -EIO;
	}
	status = pub_report(pub);
	if (err) {
		usage_error("pub", "stopped: %s", error);
		return EXIT_NEGATIVE;
	}
	return interrupt_seen ? EXIT_NEGATIVE : status;
}

static int execute(struct pub *pub, const struct option *table, int argc, char **argv)
{
	char error[ERROR_SIZE];
	int err = options_parse(&usage, table, argc, argv);

	if (err)
		return err > 0 ? EXIT_OK : EXIT_USAGE;
	if (check_options(pub))
		return EXIT_USAGE;
	if (open_all(pub, error))
		return usage_error("pub", "%s", error);
	return publish(pub, error);
}

static int run(struct pub *pub, int argc, char **argv)
{
	struct pub_options *o = &pub->options;
	const struct option table[] = {
		{"--plan", "FILE", "plan of the appliance", OPTION_STRING, &o->plan, 0, 0},
		{"--source", "NAME", "publish for this source only", OPTION_STRING, &pub->ring.only,
		 0, 0},
		{"--key", "FILE", "its key file", OPTION_STRING, &pub->ring.key, 0, 0},
		{"--key-dir", "DIR",
		 "sign each line with DIR/<its source>.key; frames and envelopes differ in keys",
		 OPTION_STRING, &pub->ring.directory, 0, 0},
		{"--key-id", "N", "claim this key id; the key is not looked up in the plan",
		 OPTION_U64, &pub->ring.key_id, 0, UINT32_MAX},
		{"--to", "IP:PORT", "where to send", OPTION_ADDRESS, &o->output.to, 0, 0},
		{"--from", "IP[:PORT]", "send from here (default: the kernel chooses)",
		 OPTION_ADDRESS, &o->output.from, 0, 0},
		{"--jsonl", "FILE", "events, one JSON object a line; '-' is stdin", OPTION_STRING,
		 &o->jsonl, 0, 0},
		{"--csv", "FILE", "events, one record each; the first line names columns",
		 OPTION_STRING, &o->csv, 0, 0},
		{"--generate", "COUNT", "made-up events of --topic and --type", OPTION_U64,
		 &o->generate, 1, UINT32_MAX},
		{"--topic", "NAME", "topic of generated events, and of CSV without column topic",
		 OPTION_STRING, &o->topic, 0, 0},
		{"--type", "NAME", "type of generated events, and of CSV without column type",
		 OPTION_STRING, &o->type, 0, 0},
		{"--as", "frames|envelopes", "the way in", OPTION_STRING, &o->as, 0, 0},
		{"--rate", "N",
		 "datagrams per second, 0 unlimited (default 20000, which no\n"
		 "socket buffer on the way overruns)",
		 OPTION_U64, &o->output.rate, 0, RATE_MAX},
		{"--tree", "N", "frames a Merkle tree and signature (default 256)", OPTION_U64,
		 &o->tree, 1, TREE_MAX},
		{"--mtu", "BYTES", "largest IP packet (default 1500)", OPTION_U64, &o->mtu, MTU_MIN,
		 MTU_MAX},
		{"--outbox", "DIR", "frames: what is not acknowledged, kept across runs",
		 OPTION_STRING, &o->outbox, 0, 0},
		{"--acks-key", "HEX", "public key of the appliance's acknowledgements",
		 OPTION_STRING, &o->acks_key, 0, 0},
		{"--no-acks", NULL, "frames: send once only", OPTION_FLAG, &o->no_acks, 0, 0},
		{"--sequence-file", "FILE", "with --no-acks: next sequences, kept across runs",
		 OPTION_STRING, &o->sequence_path, 0, 0},
		{"--first-sequence", "N",
		 "with --no-acks, instead: first sequence of every\n"
		 "source; with --outbox: sequences below are skipped",
		 OPTION_U64, &o->first_sequence, 0, UINT64_MAX},
		{"--wait", "MS",
		 "first wait for a reply to an envelope (default 500) or\n"
		 "the acknowledgement of a frame (default 200)",
		 OPTION_U64, &o->wait_ms, 1, WAIT_MAX},
		{"--retries", "N",
		 "times an unanswered envelope is sent again (default 3), or\n"
		 "a frame (default: until --timeout)",
		 OPTION_U64, &o->retries, 0, RETRY_MAX},
		{"--timeout", "S",
		 "frames not acknowledged so long after they were first\n"
		 "sent stay in the outbox (default 60)",
		 OPTION_U64, &o->timeout, 1, TIMEOUT_MAX},
		{"--window", "N", "envelopes under way at once (default 256)", OPTION_U64,
		 &o->window, 1, WINDOW_MAX},
		{"--shuffle", "SEED", "send in random order (keeps all in memory)", OPTION_U64,
		 &o->output.shuffle, 0, UINT64_MAX},
		{"--loss", "PERCENT SEED", "leave out this share of datagrams", OPTION_LOSS,
		 &o->output.loss, 0, 0},
		{"--repeat", "N", "send every datagram N times", OPTION_U64, &o->output.repeat, 1,
		 REPEAT_MAX},
		{"--save", "FILE", "write packets to a capture file instead of sending",
		 OPTION_STRING, &o->output.save, 0, 0},
		{"--eth-src", "MAC", "its Ethernet source (default 02:00:00:00:00:02)",
		 OPTION_STRING, &o->output.eth_src, 0, 0},
		{"--eth-dst", "MAC", "its Ethernet destination (default 02:00:00:00:00:01)",
		 OPTION_STRING, &o->output.eth_dst, 0, 0},
		{"--json", NULL, "the report as one JSON object", OPTION_FLAG, &o->json, 0, 0},
		{"--progress", NULL, "show progress also when stderr is no terminal", OPTION_FLAG,
		 &o->progress, 0, 0},
		{NULL, NULL, NULL, OPTION_FLAG, NULL, 0, 0},
	};

	return execute(pub, table, argc, argv);
}

int cmd_pub(int argc, char **argv)
{
	struct pub *pub = calloc(1, sizeof(*pub));
	int status;

	if (!pub)
		return failure("pub", "out of memory");
	status = run(pub, argc, argv);
	close_all(pub);
	free(pub);
	return status;
}
