/* SPDX-License-Identifier: BSD-3-Clause */
#include "signer.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <libgen.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEYFILE_SIZE_MAX 4096
#define KEYFILE_VERSION  1
#define KEYFILE_MODE     0600
#define OTHERS_MASK      (S_IRWXG | S_IRWXO)
#define SEED_HEX         ((size_t)2 * ATR_SEED_SIZE)
#define FORM             "{\"atr_key\":1,\"seed\":\"<64 lowercase hex digits>\"}"

/* Opens path if it is a file that only its owner, the caller, can read. */
static int open_private(const char *path, struct stat *info, char *error, size_t size)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0) {
		if (errno == ELOOP)
			snprintf(error, size,
				 "key file %s is a symbolic link; name the file itself", path);
		else
			snprintf(error, size, "key file %s cannot be opened: %s; check its path",
				 path, strerror(errno));
		return -1;
	}
	if (fstat(fd, info) < 0)
		snprintf(error, size, "key file %s cannot be examined: %s; check its filesystem",
			 path, strerror(errno));
	else if (!S_ISREG(info->st_mode))
		snprintf(error, size, "key file %s is not a regular file; name a key file", path);
	else if (info->st_uid != geteuid())
		snprintf(error, size,
			 "key file %s belongs to user %u; run as that user or chown it", path,
			 (unsigned int)info->st_uid);
	else if (info->st_mode & OTHERS_MASK)
		snprintf(error, size, "key file %s has mode %04o; run chmod 600 on it", path,
			 (unsigned int)(info->st_mode & 07777));
	else if (info->st_size <= 0 || info->st_size > KEYFILE_SIZE_MAX)
		snprintf(error, size,
			 "key file %s has %lld bytes; write it anew with atrctl keygen", path,
			 (long long)info->st_size);
	else
		return fd;
	close(fd);
	return -1;
}

/* Reads the whole file into text; the length, or -1. */
static ssize_t read_all(int fd, char *text, size_t capacity)
{
	size_t used = 0;

	while (used < capacity) {
		ssize_t n = read(fd, text + used, capacity - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		used += (size_t)n;
	}
	return (ssize_t)used;
}

static bool is_hex_digit(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

/* The JSON library does not wipe its memory, so it must not see the seed: the one string of 64 hex
 * digits is taken out of the text, and zeros are left in its place. */
static bool take_seed(char *text, size_t length, uint8_t seed[ATR_SEED_SIZE])
{
	size_t run = 0;

	for (size_t i = 0; i < length; i++) {
		if (is_hex_digit(text[i])) {
			run++;
			continue;
		}
		if (run == SEED_HEX && text[i] == '"' && i > SEED_HEX &&
		    text[i - SEED_HEX - 1] == '"') {
			char *hex = text + i - SEED_HEX;

			atr_hex_decode(hex, SEED_HEX, seed, ATR_SEED_SIZE);
			memset(hex, '0', SEED_HEX);
			return true;
		}
		run = 0;
	}
	return false;
}

/* With the seed taken out, the document must be the form above with zeros. */
static bool document_ok(const char *text, size_t length)
{
	json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
	const json_t *version = json_object_get(root, "atr_key");
	const json_t *seed = json_object_get(root, "seed");
	bool ok = json_object_size(root) == 2 && json_is_integer(version) &&
		  json_integer_value(version) == KEYFILE_VERSION &&
		  json_string_length(seed) == SEED_HEX &&
		  strspn(json_string_value(seed), "0") == SEED_HEX;

	json_decref(root);
	return ok;
}

static struct atr_signer *signer_from_text(char *text, size_t length, uint8_t *seed,
					   const char *path, char *error, size_t size)
{
	struct atr_signer *signer;

	if (!take_seed(text, length, seed) || !document_ok(text, length)) {
		snprintf(error, size,
			 "key file %s is not of the form %s; write it anew with "
			 "atrctl keygen",
			 path, FORM);
		return NULL;
	}
	signer = atr_signer_from_seed(seed);
	if (!signer)
		snprintf(error, size, "no memory for the key of %s: %s; raise the memory limit",
			 path, strerror(errno));
	return signer;
}

struct atr_signer *atr_signer_load(const char *path, char *error, size_t size)
{
	struct atr_signer *signer = NULL;
	struct stat info;
	int fd = open_private(path, &info, error, size);
	char *text;
	uint8_t *seed;
	ssize_t length;

	if (fd < 0)
		return NULL;
	text = sodium_malloc(KEYFILE_SIZE_MAX);
	seed = sodium_malloc(ATR_SEED_SIZE);
	if (!text || !seed) {
		snprintf(error, size, "no memory to read key file %s; raise the memory limit",
			 path);
		goto out;
	}
	length = read_all(fd, text, KEYFILE_SIZE_MAX);
	if (length < 0)
		snprintf(error, size, "key file %s cannot be read: %s; check its filesystem", path,
			 strerror(errno));
	else
		signer = signer_from_text(text, (size_t)length, seed, path, error, size);
out:
	sodium_free(seed);
	sodium_free(text);
	close(fd);
	return signer;
}

static int write_all(int fd, const char *text, size_t length)
{
	while (length) {
		ssize_t n = write(fd, text, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		length -= (size_t)n;
	}
	return 0;
}

/* A new name is durable once its directory is. */
static int sync_directory_of(const char *path)
{
	char *copy = strdup(path);
	int fd, rc = 0;

	if (!copy)
		return -ENOMEM;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(copy);
	if (fd < 0)
		return -errno;
	/* Some filesystems cannot sync a directory and say EINVAL; the file itself is synced. */
	if (fsync(fd) < 0 && errno != EINVAL)
		rc = -errno;
	close(fd);
	return rc;
}

static int write_key(int fd, const struct atr_signer *signer)
{
	static const char head[] = "{\"atr_key\":1,\"seed\":\"", tail[] = "\"}\n";
	char *hex = sodium_malloc(SEED_HEX + 1);
	int rc;

	if (!hex)
		return -ENOMEM;
	atr_hex_encode(signer->secret, ATR_SEED_SIZE, hex);
	rc = fchmod(fd, KEYFILE_MODE) < 0 ? -errno : 0;
	if (rc == 0)
		rc = write_all(fd, head, sizeof(head) - 1);
	if (rc == 0)
		rc = write_all(fd, hex, SEED_HEX);
	if (rc == 0)
		rc = write_all(fd, tail, sizeof(tail) - 1);
	sodium_free(hex);
	if (rc == 0 && fsync(fd) < 0)
		rc = -errno;
	return rc;
}

int atr_signer_save(const struct atr_signer *signer, const char *path, char *error, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, KEYFILE_MODE);
	int rc;

	if (fd < 0) {
		rc = -errno;
		if (rc == -EEXIST)
			snprintf(error, size,
				 "%s exists and is not overwritten; choose another name", path);
		else
			snprintf(error, size, "key file %s cannot be made: %s; check its directory",
				 path, strerror(-rc));
		return rc;
	}
	rc = write_key(fd, signer);
	if (close(fd) < 0 && rc == 0)
		rc = -errno;
	if (rc == 0)
		rc = sync_directory_of(path);
	if (rc < 0) {
		unlink(path);
		snprintf(error, size, "key file %s cannot be written: %s; check its filesystem",
			 path, strerror(-rc));
	}
	return rc;
}
