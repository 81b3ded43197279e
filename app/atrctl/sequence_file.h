/* SPDX-License-Identifier: BSD-3-Clause */
/* Next sequence of each source, kept across runs so that none is ever used for two events.
 *
 * The file is {"atr_sequences":1,"next":{"ci":4711}}. It is replaced (written to a new file,
 * synced, renamed) before the sequences that it gives away are sent; a crash in between skips
 * sequences and never repeats one. A lock beside it keeps a second run out.
 */
#ifndef ATRCTL_SEQUENCE_FILE_H
#define ATRCTL_SEQUENCE_FILE_H

#include <stdint.h>

struct sequence_file;

/* Opens path, or starts a new one. NULL with a sentence in error (ERROR_SIZE bytes). */
struct sequence_file *sequence_file_open(const char *path, char *error);
void sequence_file_close(struct sequence_file *file);

/* Next free sequence of a source; 1 if the file does not know the source. */
uint64_t sequence_file_next(const struct sequence_file *file, const char *source);

/* Notes that sequences below next of a source are given away. Not on disk before _commit. */
int sequence_file_take(struct sequence_file *file, const char *source, uint64_t next);

/* Writes and syncs what was taken since the last call. 0 or negative errno with a sentence. */
int sequence_file_commit(struct sequence_file *file, char *error);

#endif
