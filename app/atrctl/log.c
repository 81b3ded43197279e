/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "command.h"
#include "log_tool.h"
#include "option.h"

#define NS_PER_S UINT64_C(1000000000)

uint64_t log_clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

int log_key(const char *command, const char *hex, uint8_t key[ATR_PUBLIC_KEY_SIZE])
{
	if (!hex || atr_hex_decode(hex, strlen(hex), key, ATR_PUBLIC_KEY_SIZE) ||
	    !atr_public_key_ok(key))
		return usage_error(command, "--key HEX is needed: the 64 hex digits of the public "
					    "key that signs the appliance's checkpoints");
	return 0;
}

int log_note_check(const char *command, const uint8_t key[ATR_PUBLIC_KEY_SIZE],
		   struct log_note *note)
{
	int err = atr_checkpoint_verify(note->text, note->length, key, &note->checkpoint);
	const char *shard = strrchr(note->checkpoint.origin, '/');
	uint64_t number;

	if (err) {
		usage_error(command, err == -EKEYREJECTED
					     ? "the checkpoint is not signed by this key"
					     : "the checkpoint is malformed");
		return EXIT_NEGATIVE;
	}
	if (!shard || parse_u64(shard + 1, 0, LOG_SHARDS_MAX - 1, &number)) {
		usage_error(command, "the checkpoint's origin does not end in /shard/<number>");
		return EXIT_NEGATIVE;
	}
	note->shard = (uint32_t)number;
	return 0;
}

int log_note_load(const char *command, const char *path, const uint8_t key[ATR_PUBLIC_KEY_SIZE],
		  struct log_note *note)
{
	FILE *f = path ? fopen(path, "rb") : NULL;

	if (!f)
		return usage_error(command, "checkpoint %s: %s", path ? path : "(none given)",
				   path ? strerror(errno) : "name the file");
	note->length = fread(note->text, 1, sizeof(note->text), f);
	fclose(f);
	if (note->length > ATR_CHECKPOINT_MAX)
		return usage_error(command, "%s is too long for a checkpoint", path);
	note->text[note->length] = '\0';
	return log_note_check(command, key, note);
}

static const struct command commands[] = {
	{"verify", "read whole logs and check every byte", log_verify},
	{"prove", "write a proof that an event is in the log, and what was decided", log_prove},
	{"check-proof", "check a proof with nothing but a key", log_check_proof},
	{"consistency", "prove that a newer checkpoint extends an older one", log_consistency},
	{"export", "write the log as static C2SP tlog-tiles", log_export},
	{NULL, NULL, NULL},
};

int cmd_log(int argc, char **argv)
{
	static const struct command_group group = {
		"log",
		"Reads a log that an appliance has written, or is writing; changes nothing.",
		commands,
	};

	return command_group_run(&group, argc, argv);
}
