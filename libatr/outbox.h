/* SPDX-License-Identifier: BSD-3-Clause */
/* The durable outbox: exact datagrams until they are settled, and the sequence state.
 *
 * One thread. outbox_add returns only after a sync, so what is sent has always been synced first,
 * and no sequence is used for other bytes after any crash. After a failed write or sync the outbox
 * is broken: every function that would write is -EIO, since nobody knows what is on disk; opening
 * anew finds out. Files are reached through struct outbox_files, which tests replace.
 */
#ifndef LIBATR_OUTBOX_H
#define LIBATR_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "batch.h"

#define OUTBOX_NAME     "outbox"
#define OUTBOX_NEW_NAME "outbox.new"
#define OUTBOX_LOCK     "lock"
/* Files beyond are refused: they are read into memory as a whole. */
#define OUTBOX_BYTES_MAX (UINT64_C(1) << 30)

/* A directory. Functions return 0 or negative errno. */
struct outbox_files {
	/* Whole file to memory from malloc; -ENOENT. */
	int (*load)(struct outbox_files *files, const char *name, uint8_t **bytes, size_t *length);
	/* Opens for appending: a new, empty file if create (whatever had the name goes), else the
	 * existing one cut to length. */
	int (*open)(struct outbox_files *files, const char *name, bool create, size_t length);
	/* Appends to the file opened last; all or an error. */
	int (*write)(struct outbox_files *files, const void *bytes, size_t length);
	int (*sync)(struct outbox_files *files); /* the file opened last */
	/* The new name is durable when it returns; the open file stays open. */
	int (*rename)(struct outbox_files *files, const char *from, const char *to);
	void (*destroy)(struct outbox_files *files); /* closes, unlocks, frees */
};

/* A directory on disk, made if missing (mode 0700), locked. NULL with a sentence in error. */
struct outbox_files *outbox_directory(const char *path, char *error, size_t size);

/* A frame in the bytes of a file. */
struct outbox_frame {
	uint64_t offset; /* of its datagram */
	uint64_t first;
	uint32_t length;
	uint16_t events;
	bool settled;
};

struct outbox_image {
	uint64_t realm, next;
	uint32_t source;
	uint64_t end;     /* bytes that hold; what lies behind is a torn tail */
	uint64_t settled; /* bytes of settled frames */
	size_t frames, capacity;
	struct outbox_frame *frame; /* ascending; free with outbox_image_free */
};

/* Reads a file's bytes. 0; -EBADMSG with a sentence that names the offset; -ENOMEM. The image is to
 * be freed in any case. Pure. */
int outbox_parse(const uint8_t *bytes, size_t length, struct outbox_image *image, char *error,
		 size_t size);
void outbox_image_free(struct outbox_image *image);

struct outbox;

/* Takes over files, also on failure. Starts a new outbox where there is none; found (NULL allowed)
 * is called for every unsettled frame in ascending order, with bytes that are valid during the
 * call; 0 or negative errno, which ends the opening. first_sequence: sequences below are skipped.
 * NULL with a sentence in error. */
struct outbox *outbox_open(struct outbox_files *files, uint64_t realm, uint32_t source,
			   uint64_t first_sequence,
			   int (*found)(void *context, const uint8_t *datagram,
					const struct outbox_frame *frame),
			   void *context, char *error, size_t size);

/* Sequences below are used. */
uint64_t outbox_next(const struct outbox *outbox);

/* Keeps the frames of a tree, whose sequences begin at outbox_next or above; durable when it
 * returns. 0 or negative errno: then nothing of the tree may be sent. */
int outbox_add(struct outbox *outbox, const struct batch_frame *frames, unsigned int count);

/* Notes that a frame which is kept is settled. Not synced: a crash may forget it, and the frame is
 * sent again. 0 or negative errno. */
int outbox_settle(struct outbox *outbox, uint64_t first, uint32_t length, uint64_t position,
		  uint8_t reason);

/* True if rewriting is worth it: most of a large file is settled. */
bool outbox_wants_compaction(const struct outbox *outbox);

/* Replaces the file by one that holds only the frames that `next_frame` gives: it fills *frame and
 * returns true, or false at the end. 0 or negative errno. */
int outbox_compact(struct outbox *outbox, bool (*next_frame)(void *context, struct batch_frame *f),
		   void *context);

/* Compacts if everything is settled and something was written, then closes. NULL is allowed. */
void outbox_close(struct outbox *outbox);

#endif
