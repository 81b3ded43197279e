/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../../lib/sign/sign.h"

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"
#define SEED  "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"

static char directory[] = "/tmp/atr-keyfile-XXXXXX";
static char path[128], other[128];

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof(path), "%s/key", directory);
	snprintf(other, sizeof(other), "%s/other", directory);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	unlink(other);
	return rmdir(directory);
}

static void write_file(const char *text, size_t length, mode_t mode)
{
	int fd;

	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, length), (ssize_t)length);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

/* Loading must fail, with a sentence that names the file and never holds the seed. */
static void expect_refused(const char *file)
{
	char error[512] = "";

	assert_null(atr_signer_load(file, error, sizeof(error)));
	assert_non_null(strstr(error, file));
	assert_null(strstr(error, "9d61b19d"));
}

static void text_is_refused(const char *text)
{
	write_file(text, strlen(text), 0600);
	expect_refused(path);
}

/* Invariant: what was saved loads as the same key; the file is private and of the stated form. */
static void saved_key_loads(void **state)
{
	struct atr_signer *a = atr_signer_generate(), *b;
	uint8_t key_a[ATR_PUBLIC_KEY_SIZE], key_b[ATR_PUBLIC_KEY_SIZE];
	char error[512], text[256] = "";
	struct stat info;
	int fd;

	(void)state;
	assert_non_null(a);
	assert_int_equal(atr_signer_save(a, path, error, sizeof(error)), 0);
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 07777, 0600);
	fd = open(path, O_RDONLY);
	assert_true(read(fd, text, sizeof(text) - 1) > 64);
	close(fd);
	assert_memory_equal(text, "{\"atr_key\":1,\"seed\":\"", 21);
	b = atr_signer_load(path, error, sizeof(error));
	assert_non_null(b);
	atr_signer_public(a, key_a);
	atr_signer_public(b, key_b);
	assert_memory_equal(key_a, key_b, sizeof(key_a));

	/* An existing file is never overwritten, nor is a symbolic link followed. */
	assert_int_equal(atr_signer_save(a, path, error, sizeof(error)), -EEXIST);
	assert_non_null(strstr(error, path));
	assert_int_equal(symlink("nowhere", other), 0);
	assert_int_equal(atr_signer_save(a, other, error, sizeof(error)), -EEXIST);
	unlink(other);
	assert_int_equal(atr_signer_save(a, "/nonexistent/key", error, sizeof(error)), -ENOENT);
	atr_signer_free(a);
	atr_signer_free(b);
	unlink(path);
}

/* Invariant: the seed decides the key, with white space and member order as JSON allows. */
static void seed_decides_key(void **state)
{
	static const char *const forms[] = {
		"{\"atr_key\":1,\"seed\":\"" SEED "\"}",
		" {\n \"seed\" : \"" SEED "\" ,\t\"atr_key\" : 1 }\n",
	};
	char error[512];

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		uint8_t key[ATR_PUBLIC_KEY_SIZE];
		struct atr_signer *signer;
		char hex[65];

		write_file(forms[i], strlen(forms[i]), 0600);
		signer = atr_signer_load(path, error, sizeof(error));
		assert_non_null(signer);
		atr_signer_public(signer, key);
		atr_hex_encode(key, sizeof(key), hex);
		assert_string_equal(
			hex, "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
		atr_signer_free(signer);
	}
}

/* Invariant: a key that others can reach, or that is not a plain file of the caller's, is
 * refused. */
static void unsafe_files_are_refused(void **state)
{
	static const char good[] = "{\"atr_key\":1,\"seed\":\"" SEED "\"}";
	static const mode_t modes[] = {0644, 0640, 0604, 0660, 0601, 0610, 0620, 0602, 0777};
	char error[512];
	struct atr_signer *signer;

	(void)state;
	for (unsigned int i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		write_file(good, strlen(good), modes[i]);
		expect_refused(path);
	}
	write_file(good, strlen(good), 0400);
	signer = atr_signer_load(path, error, sizeof(error));
	assert_non_null(signer);
	atr_signer_free(signer);

	assert_int_equal(symlink(path, other), 0);
	expect_refused(other);
	unlink(other);
	assert_int_equal(mkfifo(other, 0600), 0);
	expect_refused(other);
	unlink(other);
	expect_refused(directory);
	expect_refused(other);
	if (geteuid() == 0) {
		assert_int_equal(chown(path, 1, 1), 0);
		expect_refused(path);
	}
}

/* Invariant: nothing but the one form is a key file. */
static void other_documents_are_refused(void **state)
{
	static char large[5000];

	(void)state;
	text_is_refused("");
	text_is_refused("x");
	text_is_refused("\"" SEED "\"");
	text_is_refused("[\"" SEED "\"]");
	text_is_refused("{\"seed\":\"" SEED "\"}");
	text_is_refused("{\"atr_key\":1}");
	text_is_refused("{\"atr_key\":2,\"seed\":\"" SEED "\"}");
	text_is_refused("{\"atr_key\":\"1\",\"seed\":\"" SEED "\"}");
	text_is_refused("{\"atr_key\":1.0,\"seed\":\"" SEED "\"}");
	text_is_refused("{\"atr_key\":true,\"seed\":\"" SEED "\"}");
	text_is_refused("{\"atr_key\":1,\"seed\":\"" SEED "\",\"x\":1}");
	text_is_refused("{\"atr_key\":1,\"seed\":\"" SEED "\",\"seed\":\"" SEED "\"}");
	text_is_refused("{\"atr_key\":1,\"atr_key\":1,\"seed\":\"" SEED "\"}");
	text_is_refused("{\"atr_key\":1,\"seed\":\"" SEED "\"} x");
	text_is_refused("{\"atr_key\":1,\"seed\":\"" SEED "00\"}");
	text_is_refused("{\"atr_key\":1,\"seed\":\"9d61\"}");
	text_is_refused("{\"atr_key\":1,\"seed\":[\"" SEED "\"]}");
	text_is_refused("{\"atr_key\":1,\"seed\":" ZEROS "}");
	/* The seed taken from one place must not be let stand for zeros in another. */
	text_is_refused("{\"atr_key\":1,\"" SEED "\":\"" ZEROS "\"}");
	text_is_refused("{\"atr_key\":\"" SEED "\",\"seed\":\"" ZEROS "\"}");
	text_is_refused("{\"atr_key\":1,\"x\":\"" SEED "\",\"seed\":\"" ZEROS "\"}");
	text_is_refused("{\"atr_key\":1,\"seed\":\"9D61B19DEFFD5A60BA844AF492EC2CC44449C5697B326919"
			"703BAC031CAE7F60\"}");
	memset(large, ' ', sizeof(large));
	memcpy(large, "{\"atr_key\":1,\"seed\":\"" SEED "\"}", 22 + 64 + 1);
	write_file(large, sizeof(large), 0600);
	expect_refused(path);
	write_file("{\"atr_key\":1,\"seed\":\"" SEED "\"}\0", 22 + 64 + 2, 0600);
	expect_refused(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(saved_key_loads),
		cmocka_unit_test(seed_decides_key),
		cmocka_unit_test(other_documents_are_refused),
		cmocka_unit_test(unsafe_files_are_refused),
	};

	if (atr_sign_init() < 0) {
		fprintf(stderr, "libsodium does not start\n");
		return 2;
	}
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
