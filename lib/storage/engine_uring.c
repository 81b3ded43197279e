/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "storage_internal.h"

#define URING_WRITE_MAX (1u << 30) /* bytes in one operation */

int uring_start(struct disk *disk)
{
	/* A short write takes a second entry while all others are under way: twice the room. */
	int rc = io_uring_queue_init(2 * ATR_STORAGE_QUEUE, &disk->ring, 0);

	if (rc < 0)
		return rc;
	disk->files_registered = io_uring_register_files_sparse(&disk->ring, DISK_FILES_MAX) == 0;
	return 0;
}

void uring_stop(struct disk *disk)
{
	io_uring_queue_exit(&disk->ring);
}

int uring_file_add(struct disk *disk, int fd)
{
	if (!disk->files_registered)
		return DISK_SLOT_NONE;
	for (int slot = 0; slot < DISK_FILES_MAX; slot++) {
		if (disk->slot_used[slot])
			continue;
		if (io_uring_register_files_update(&disk->ring, (unsigned int)slot, &fd, 1) != 1)
			return DISK_SLOT_NONE;
		disk->slot_used[slot] = true;
		return slot;
	}
	return DISK_SLOT_NONE;
}

void uring_file_remove(struct disk *disk, int slot)
{
	int none = -1;

	if (slot == DISK_SLOT_NONE)
		return;
	if (io_uring_register_files_update(&disk->ring, (unsigned int)slot, &none, 1) == 1)
		disk->slot_used[slot] = false;
}

void uring_memory(struct atr_storage *storage, void *base, size_t length)
{
	struct disk *disk = disk_of(storage);
	struct iovec vector = {.iov_base = base, .iov_len = length};

	if (disk->memory)
		io_uring_unregister_buffers(&disk->ring);
	disk->memory = NULL;
	if (length == 0 || io_uring_register_buffers(&disk->ring, &vector, 1) != 0)
		return;
	disk->memory = base;
	disk->memory_length = length;
}

/* Hands to the kernel what it has not taken yet; its being busy is no failure. */
static int submit(struct disk *disk)
{
	while (disk->unsubmitted > 0) {
		int n = io_uring_submit(&disk->ring);

		if (n == -EINTR)
			continue;
		if (n == -EAGAIN || n == -EBUSY || n == -ENOMEM || n == 0)
			return 0;
		if (n < 0)
			return n;
		disk->unsubmitted -= (unsigned int)n;
	}
	return 0;
}

static bool registered(const struct disk *disk, const struct disk_op *op)
{
	uintptr_t base = (uintptr_t)disk->memory;

	return disk->memory && (uintptr_t)op->data >= base &&
	       (uintptr_t)op->data + op->length <= base + disk->memory_length;
}

static int start(struct disk *disk, struct disk_op *op)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&disk->ring);
	unsigned int length =
		op->length < URING_WRITE_MAX ? (unsigned int)op->length : URING_WRITE_MAX;
	int fd = op->file->slot == DISK_SLOT_NONE ? op->file->fd : op->file->slot;

	if (!sqe)
		return -EAGAIN;
	if (!op->data)
		io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
	else if (registered(disk, op))
		io_uring_prep_write_fixed(sqe, fd, op->data, length, op->offset, 0);
	else
		io_uring_prep_write(sqe, fd, op->data, length, op->offset);
	if (op->file->slot != DISK_SLOT_NONE)
		sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data(sqe, op);
	disk->unsubmitted++;
	return submit(disk);
}

static int begin(struct disk *disk, const struct disk_op *what)
{
	struct disk_op *op = disk->op;
	int rc;

	if (disk->under_way == ATR_STORAGE_QUEUE)
		return -EAGAIN;
	while (op->used)
		op++;
	*op = *what;
	op->used = true;
	rc = start(disk, op);
	if (rc == -EAGAIN)
		op->used = false;
	else
		disk->under_way++;
	return rc;
}

int uring_write(struct atr_storage *storage, struct atr_file *file, const void *buffer,
		size_t length, uint64_t offset, void *cookie)
{
	struct disk_op op = {
		.cookie = cookie, .file = file, .data = buffer, .length = length, .offset = offset};

	return length == 0 ? -EINVAL : begin(disk_of(storage), &op);
}

int uring_sync(struct atr_storage *storage, struct atr_file *file, void *cookie)
{
	struct disk_op op = {.cookie = cookie, .file = file};

	return begin(disk_of(storage), &op);
}

/* One entry of the completion queue. True if its operation is finished, with its result. */
static bool settle(struct disk *disk, struct disk_op *op, int res, int *result)
{
	*result = 0;
	if (res == -EINTR || res == -EAGAIN) {
		*result = start(disk, op);
		return *result != 0;
	}
	if (res < 0 || !op->data) {
		*result = res;
		return true;
	}
	if (res == 0 || (size_t)res > op->length) {
		*result = -EIO;
		return true;
	}
	op->data += res;
	op->offset += (uint64_t)res;
	op->length -= (size_t)res;
	if (op->length == 0)
		return true;
	*result = start(disk, op);
	return *result != 0;
}

int uring_reap(struct atr_storage *storage, struct atr_completion *out, unsigned int max, bool wait)
{
	struct disk *disk = disk_of(storage);
	unsigned int n = 0;
	int rc = submit(disk);

	if (rc < 0)
		return rc;
	while (n < max && disk->under_way > 0) {
		struct io_uring_cqe *cqe;
		struct disk_op *op;
		int res, result;

		rc = wait && n == 0 ? io_uring_wait_cqe(&disk->ring, &cqe)
				    : io_uring_peek_cqe(&disk->ring, &cqe);
		if (rc == -EINTR)
			continue;
		if (rc == -EAGAIN)
			break;
		if (rc < 0)
			return rc;
		op = io_uring_cqe_get_data(cqe);
		res = cqe->res;
		io_uring_cqe_seen(&disk->ring, cqe);
		if (!settle(disk, op, res, &result))
			continue;
		out[n++] = (struct atr_completion){.cookie = op->cookie, .result = result};
		op->used = false;
		disk->under_way--;
	}
	return (int)n;
}
