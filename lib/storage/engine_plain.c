/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#include "storage_internal.h"

/* Finished operations wait in a ring of ATR_STORAGE_QUEUE slots, oldest at next_done. */
static int finish(struct disk *disk, void *cookie, int result)
{
	unsigned int at = (disk->next_done + disk->under_way) % ATR_STORAGE_QUEUE;

	disk->op[at].cookie = cookie;
	disk->op[at].result = result;
	disk->under_way++;
	return 0;
}

int plain_write(struct atr_storage *storage, struct atr_file *file, const void *buffer,
		size_t length, uint64_t offset, void *cookie)
{
	struct disk *disk = disk_of(storage);
	struct iovec vector = {.iov_base = (void *)(uintptr_t)buffer, .iov_len = length};

	if (disk->under_way == ATR_STORAGE_QUEUE)
		return -EAGAIN;
	while (vector.iov_len > 0) {
		ssize_t n = pwritev2(file->fd, &vector, 1, (off_t)offset, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return finish(disk, cookie, n < 0 ? -errno : -EIO);
		vector.iov_base = (uint8_t *)vector.iov_base + n;
		vector.iov_len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return finish(disk, cookie, 0);
}

int plain_sync(struct atr_storage *storage, struct atr_file *file, void *cookie)
{
	struct disk *disk = disk_of(storage);

	if (disk->under_way == ATR_STORAGE_QUEUE)
		return -EAGAIN;
	return finish(disk, cookie, fdatasync(file->fd) < 0 ? -errno : 0);
}

int plain_reap(struct atr_storage *storage, struct atr_completion *out, unsigned int max, bool wait)
{
	struct disk *disk = disk_of(storage);
	unsigned int n;

	(void)wait; /* everything submitted has finished */
	for (n = 0; n < max && disk->under_way > 0; n++) {
		out[n].cookie = disk->op[disk->next_done].cookie;
		out[n].result = disk->op[disk->next_done].result;
		disk->next_done = (disk->next_done + 1) % ATR_STORAGE_QUEUE;
		disk->under_way--;
	}
	return (int)n;
}
