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

#include "../../../lib/storage/storage.h"

#define FILE_BYTES (1u << 20)
#define WRITES     200

static char directory[64];

static struct atr_storage *open_storage(const char *engine)
{
	char error[256] = "";
	struct atr_storage *storage = atr_storage_open(directory, engine, error, sizeof(error));

	if (!storage)
		fail_msg("%s", error);
	return storage;
}

static void clean(void)
{
	char path[128];

	for (unsigned int i = 0; i < 8; i++) {
		static const char *const names[] = {"a", "b", "c",       "data",
						    "x", "y", "renamed", "zz"};

		snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
		unlink(path);
	}
	rmdir(directory);
}

static int setup(void **state)
{
	(void)state;
	snprintf(directory, sizeof(directory), "test_storage_%d", (int)getpid());
	clean();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	clean();
	return 0;
}

static void reap_all(struct atr_storage *storage, unsigned int *under_way, int *done)
{
	struct atr_completion out[8];
	int n = storage->ops->reap(storage, out, 8, true);

	assert_true(n > 0);
	for (int i = 0; i < n; i++) {
		assert_int_equal(out[i].result, 0);
		(*(int *)out[i].cookie)++;
	}
	*under_way -= (unsigned int)n;
	*done += n;
}

/* Invariant: what was written at random places, by registered and by other memory, with the queue
 * full or not, is what is read, here and by another opening; each operation completes once. */
static void writes_are_read_back(const char *engine)
{
	struct atr_storage *storage = open_storage(engine);
	uint8_t *memory = aligned_alloc(ATR_STORAGE_ALIGN, 2 * FILE_BYTES);
	uint8_t *model = calloc(1, FILE_BYTES), *got = aligned_alloc(ATR_STORAGE_ALIGN, FILE_BYTES);
	int cookie[WRITES + 1] = {0}, done = 0;
	unsigned int under_way = 0;
	uint64_t size = FILE_BYTES;
	struct atr_file *file;

	assert_int_equal(storage->ops->open(storage, "data", true, &size, &file), 0);
	assert_int_equal(storage->ops->read(storage, file, got, FILE_BYTES, 0), 0);
	assert_memory_equal(got, model, FILE_BYTES);
	assert_int_equal(storage->ops->read(storage, file, got, ATR_STORAGE_ALIGN, FILE_BYTES),
			 -ENODATA);
	if (storage->ops->memory)
		storage->ops->memory(storage, memory, FILE_BYTES);
	srand(7);
	for (unsigned int i = 0; i < 2 * FILE_BYTES; i++)
		memory[i] = (uint8_t)rand();
	for (unsigned int i = 0; i < WRITES; i++) {
		/* Each place once while it is under way: the order of two writes is not told. */
		uint64_t blocks = FILE_BYTES / ATR_STORAGE_ALIGN;
		uint64_t at = (i * 5 % blocks) * ATR_STORAGE_ALIGN;
		uint8_t *from =
			memory + (size_t)((unsigned int)rand() % (2 * blocks)) * ATR_STORAGE_ALIGN;
		int rc;

		if (under_way > 0 && i % blocks == 0)
			while (under_way > 0)
				reap_all(storage, &under_way, &done);
		while ((rc = storage->ops->write(storage, file, from, ATR_STORAGE_ALIGN, at,
						 &cookie[i])) == -EAGAIN) {
			assert_true(under_way > 0);
			reap_all(storage, &under_way, &done);
		}
		assert_int_equal(rc, 0);
		under_way++;
		assert_true(under_way <= ATR_STORAGE_QUEUE);
		memcpy(model + at, from, ATR_STORAGE_ALIGN);
	}
	while (under_way > 0)
		reap_all(storage, &under_way, &done);
	assert_int_equal(storage->ops->sync(storage, file, &cookie[WRITES]), 0);
	under_way = 1;
	reap_all(storage, &under_way, &done);
	assert_int_equal(done, WRITES + 1);
	for (unsigned int i = 0; i <= WRITES; i++)
		assert_int_equal(cookie[i], 1);
	assert_int_equal(storage->ops->read(storage, file, got, FILE_BYTES, 0), 0);
	assert_memory_equal(got, model, FILE_BYTES);
	storage->ops->close(storage, file);
	storage->ops->destroy(storage);

	storage = open_storage("read");
	size = 0;
	assert_int_equal(storage->ops->open(storage, "data", false, &size, &file), 0);
	assert_int_equal(size, FILE_BYTES);
	memset(got, 0, FILE_BYTES);
	assert_int_equal(storage->ops->read(storage, file, got, FILE_BYTES, 0), 0);
	assert_memory_equal(got, model, FILE_BYTES);
	assert_int_equal(storage->ops->write(storage, file, got, ATR_STORAGE_ALIGN, 0, NULL),
			 -EROFS);
	assert_int_equal(storage->ops->sync(storage, file, NULL), -EROFS);
	assert_int_equal(storage->ops->rename(storage, "data", "x"), -EROFS);
	storage->ops->close(storage, file);
	storage->ops->destroy(storage);
	free(got);
	free(model);
	free(memory);
}

static void plain_engine(void **state)
{
	struct atr_storage *storage;

	(void)state;
	storage = open_storage("pwritev2");
	assert_non_null(strstr(atr_storage_engine(storage), "pwritev2, "));
	storage->ops->destroy(storage);
	writes_are_read_back("pwritev2");
}

static void uring_engine(void **state)
{
	struct atr_storage *storage = open_storage(NULL);
	bool here = strncmp(atr_storage_engine(storage), "io_uring", 8) == 0;

	(void)state;
	print_message("%s\n", atr_storage_engine(storage));
	storage->ops->destroy(storage);
	if (!here)
		skip();
	writes_are_read_back("io_uring");
}

/* Invariant: on a file system without direct writes (tmpfs, on older kernels) both still work. */
static void in_memory(void **state)
{
	char here[sizeof(directory)];

	(void)state;
	if (access("/dev/shm", W_OK) != 0)
		skip();
	memcpy(here, directory, sizeof(here));
	snprintf(directory, sizeof(directory), "/dev/shm/test_storage_%d", (int)getpid());
	writes_are_read_back("pwritev2");
	clean();
	writes_are_read_back(NULL);
	clean();
	memcpy(directory, here, sizeof(here));
}

/* Invariant: names are listed in order, renamed without ever replacing, and never lead outside. */
static void names(void **state)
{
	struct atr_storage *storage = open_storage(NULL);
	static const char *const bad[] = {"", ".", "..", "../x", "a/b", "/etc/passwd", ".hidden"};
	uint64_t size = ATR_STORAGE_ALIGN;
	struct atr_file *file;
	char name[32];

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		static const char *const order[] = {"c", "a", "b"};

		assert_int_equal(storage->ops->open(storage, order[i], true, &size, &file), 0);
		storage->ops->close(storage, file);
	}
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(storage->ops->list(storage, i, name, sizeof(name)), 0);
		assert_int_equal(name[0], 'a' + (int)i);
	}
	assert_int_equal(storage->ops->list(storage, 3, name, sizeof(name)), -ENOENT);
	assert_int_equal(storage->ops->rename(storage, "a", "b"), -EEXIST);
	assert_int_equal(storage->ops->rename(storage, "zz", "y"), -ENOENT);
	assert_int_equal(storage->ops->rename(storage, "a", "x"), 0);
	assert_int_equal(storage->ops->list(storage, 0, name, sizeof(name)), 0);
	assert_string_equal(name, "b");
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(storage->ops->open(storage, bad[i], true, &size, &file), -EINVAL);
		assert_int_equal(storage->ops->rename(storage, "b", bad[i]), -EINVAL);
	}
	assert_int_equal(storage->ops->open(storage, "zz", false, &size, &file), -ENOENT);
	/* Made larger, what it holds is kept; never made smaller. */
	size = 2 * ATR_STORAGE_ALIGN;
	assert_int_equal(storage->ops->open(storage, "b", true, &size, &file), 0);
	storage->ops->close(storage, file);
	size = ATR_STORAGE_ALIGN;
	assert_int_equal(storage->ops->open(storage, "b", true, &size, &file), -EEXIST);
	size = UINT64_C(1) << 50;
	assert_true(storage->ops->open(storage, "y", true, &size, &file) < 0);
	assert_true(storage->ops->free_bytes(storage) > 0);
	storage->ops->destroy(storage);
}

/* Invariant: a directory has one writer; what is wrong is named. */
static void one_writer(void **state)
{
	struct atr_storage *storage = open_storage(NULL), *reader;
	char error[256] = "";
	struct stat st;

	(void)state;
	assert_int_equal(stat(directory, &st), 0);
	assert_int_equal(st.st_mode & 0777 & ~0750, 0);
	assert_null(atr_storage_open(directory, NULL, error, sizeof(error)));
	assert_non_null(strstr(error, "in use"));
	reader = open_storage("read");
	reader->ops->destroy(reader);
	storage->ops->destroy(storage);
	storage = open_storage(NULL);
	storage->ops->destroy(storage);
	assert_null(atr_storage_open(directory, "floppy", error, sizeof(error)));
	assert_non_null(strstr(error, "floppy"));
	assert_null(atr_storage_open("/nonexistent/a/b", NULL, error, sizeof(error)));
	assert_non_null(strstr(error, "/nonexistent/a/b"));
	assert_null(atr_storage_open("/nonexistent", "read", error, sizeof(error)));
}

/* Invariant: an error of the disk comes back as the operation's result, on either engine. */
static void errors_come_back(void **state)
{
	static const char *const engines[] = {"pwritev2", NULL};
	uint8_t *block = aligned_alloc(ATR_STORAGE_ALIGN, ATR_STORAGE_ALIGN);

	(void)state;
	memset(block, 1, ATR_STORAGE_ALIGN);
	for (unsigned int i = 0; i < 2; i++) {
		struct atr_storage *storage = open_storage(engines[i]);
		struct atr_completion out;
		uint64_t size = ATR_STORAGE_ALIGN;
		struct atr_file *file;

		assert_int_equal(storage->ops->open(storage, "data", true, &size, &file), 0);
		/* Beyond any file's largest size. */
		assert_int_equal(storage->ops->write(storage, file, block, ATR_STORAGE_ALIGN,
						     INT64_MAX & ~UINT64_C(4095), block),
				 0);
		assert_int_equal(storage->ops->reap(storage, &out, 1, true), 1);
		assert_ptr_equal(out.cookie, block);
		assert_true(out.result < 0);
		assert_int_equal(storage->ops->reap(storage, &out, 1, false), 0);
		storage->ops->close(storage, file);
		storage->ops->destroy(storage);
	}
	free(block);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(plain_engine, setup, teardown),
		cmocka_unit_test_setup_teardown(uring_engine, setup, teardown),
		cmocka_unit_test_setup_teardown(in_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(names, setup, teardown),
		cmocka_unit_test_setup_teardown(one_writer, setup, teardown),
		cmocka_unit_test_setup_teardown(errors_come_back, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
