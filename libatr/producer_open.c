/* SPDX-License-Identifier: BSD-3-Clause */
/* From a configuration to a producer. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/merkle/merkle.h"
#include "producer_internal.h"
#include "udp.h"

#define MTU_DEFAULT        1500
#define TREE_DEFAULT       256
#define WINDOW_DEFAULT     4096
#define QUEUE_DEFAULT      4096
#define FLUSH_MS_DEFAULT   10
#define FIRST_MS_DEFAULT   200
#define BACKOFF_MS_DEFAULT 10000
#define FIRST_SEQUENCE     1
#define PATH_SHOWN         300

static int refuse(char *error, size_t size, const char *why)
{
	snprintf(error, size, "%s", why);
	return -EINVAL;
}

static void set_default(uint32_t *value, uint32_t otherwise)
{
	if (*value == 0)
		*value = otherwise;
}

static void fill_defaults(struct atr_producer_config *c)
{
	set_default(&c->mtu, MTU_DEFAULT);
	set_default(&c->tree, TREE_DEFAULT);
	set_default(&c->window, WINDOW_DEFAULT);
	set_default(&c->queue, QUEUE_DEFAULT > c->tree ? QUEUE_DEFAULT : c->tree);
	set_default(&c->flush_ms, FLUSH_MS_DEFAULT);
	set_default(&c->first_backoff_ms, FIRST_MS_DEFAULT);
	set_default(&c->max_backoff_ms, BACKOFF_MS_DEFAULT);
}

static int check(const struct atr_producer_config *c, char *error, size_t size)
{
	if (c->size != sizeof(*c))
		return refuse(error, size,
			      "config.size must be sizeof(struct atr_producer_config); is the "
			      "header of another version than the library?");
	if (!c->key_file == !c->seed)
		return refuse(error, size, "give either key_file or seed");
	if (!c->to == !c->transport)
		return refuse(error, size, "give either to or transport");
	if (!c->outbox != !c->acks_key)
		return refuse(error, size,
			      "outbox and acks_key belong together: an outbox is emptied by "
			      "acknowledgements");
	if (c->outbox && c->reserve)
		return refuse(error, size, "reserve is for producers without outbox");
	if (c->tree > BATCH_TREE_MAX || c->mtu > BATCH_MTU_MAX)
		return refuse(error, size, "tree is at most 65536, mtu at most 9000");
	if (c->queue < c->tree)
		return refuse(error, size, "queue must hold at least one tree");
	if (c->source == 0 || c->source > UINT16_MAX)
		return refuse(error, size, "source is a number from 1 to 65535");
	return 0;
}

static int open_key(struct atr_producer *p, char *error, size_t size)
{
	const struct atr_producer_config *c = &p->config;

	if (atr_sign_init())
		return refuse(error, size, "libsodium cannot be initialised");
	if (c->acks_key) {
		p->reader.realm = c->realm;
		p->reader.key = ATR_ACK_KEY;
		if (atr_hex_decode(c->acks_key, strlen(c->acks_key), p->reader.public_key,
				   sizeof(p->reader.public_key)) ||
		    !atr_public_key_ok(p->reader.public_key))
			return refuse(error, size,
				      "acks_key is no public key: 64 lowercase hexadecimal "
				      "digits, as 'atrctl status' shows them");
	}
	if (c->key_file) {
		p->signer = atr_signer_load(c->key_file, error, size);
		return p->signer ? 0 : -EINVAL;
	}
	p->signer = atr_signer_from_seed(c->seed);
	return p->signer ? 0 : refuse(error, size, "no memory for a key; raise ulimit -l");
}

static int socket_send(void *context, const void *datagram, size_t length)
{
	return udp_send(((struct atr_producer *)context)->fd, datagram, length);
}

static int socket_receive(void *context, void *buffer, size_t size)
{
	return udp_receive(((struct atr_producer *)context)->fd, buffer, size);
}

static int open_transport(struct atr_producer *p, char *error, size_t size)
{
	const struct atr_producer_config *c = &p->config;
	struct udp_address to, from;

	if (c->transport) {
		p->transport = *c->transport;
		return 0;
	}
	if (udp_parse(c->to, &to) || to.port == 0)
		return refuse(error, size, "to is no IP:PORT such as 10.77.0.1:26400");
	if (c->from && udp_parse(c->from, &from))
		return refuse(error, size, "from is no IP or IP:PORT of this machine");
	p->fd = udp_open(c->from ? &from : NULL, &to, error, size);
	if (p->fd < 0)
		return p->fd;
	p->transport = (struct atr_producer_transport){
		.context = p, .send = socket_send, .receive = socket_receive, .fd = p->fd};
	return 0;
}

/* A frame that was not settled when the outbox was closed, or when its process died. */
static int take_up(void *context, const uint8_t *datagram, const struct outbox_frame *found)
{
	struct atr_producer *p = context;
	struct batch_frame f = {
		.length = found->length, .first = found->first, .events = found->events};
	struct atr_frame frame;

	if (atr_frame_parse(datagram, found->length, &frame) != ATR_OK)
		return -EBADMSG;
	atr_merkle_leaf(datagram + 1, frame.leaf_size - 1, f.leaf);
	f.datagram = malloc(f.length);
	if (!f.datagram || kept_append(p, &f)) {
		free(f.datagram);
		return -ENOMEM;
	}
	memcpy(f.datagram, datagram, f.length);
	p->stats.recovered++;
	return 0;
}

static int open_outbox(struct atr_producer *p, struct outbox_files *files, char *error, size_t size)
{
	const struct atr_producer_config *c = &p->config;
	char why[ATR_CLIENT_ERROR];

	if (!files)
		files = outbox_directory(c->outbox, error, size);
	if (!files)
		return -EINVAL;
	p->outbox = outbox_open(files, c->realm, c->source,
				c->first_sequence ? c->first_sequence : FIRST_SEQUENCE, take_up, p,
				why, sizeof(why));
	if (p->outbox)
		return 0;
	snprintf(error, size,
		 "outbox %.*s/" OUTBOX_NAME " %s; nothing was changed. Restore it, or move it away "
		 "and go on with a first sequence beyond all that was sent",
		 PATH_SHOWN, c->outbox, why);
	return -EINVAL;
}

static int open_all(struct atr_producer *p, struct outbox_files *files, char *error, size_t size)
{
	const struct atr_producer_config *c = &p->config;
	struct batch_params params = {
		.realm = c->realm,
		.source = c->source,
		.key = c->key,
		.mtu = c->mtu,
		.tree = c->tree,
		/* A frame larger than the window would push its own first
		 * events out of it. */
		.events = c->window < ATR_FRAME_PACKETS_MAX ? c->window : ATR_FRAME_PACKETS_MAX,
		.next = c->first_sequence};
	int err = open_key(p, error, size);

	if (!err)
		err = open_transport(p, error, size);
	if (!err && c->outbox) {
		err = open_outbox(p, files, error, size);
		files = NULL;
		if (!err)
			params.next = outbox_next(p->outbox);
	}
	if (files)
		files->destroy(files);
	if (err)
		return err;
	params.signer = p->signer;
	p->batch = batch_create(&params, error, size);
	return p->batch ? 0 : -EINVAL;
}

struct atr_producer *producer_open(const struct atr_producer_config *config,
				   const struct producer_env *env, char *error, size_t size)
{
	struct atr_producer_config filled = *config;
	struct atr_producer *p;

	fill_defaults(&filled);
	p = check(&filled, error, size) ? NULL : calloc(1, sizeof(*p));
	if (!p) {
		if (env->files)
			env->files->destroy(env->files);
		return NULL;
	}
	p->config = filled;
	p->env = *env;
	p->fd = -1;
	p->open_since_ns = p->due_ns = NEVER;
	if (open_all(p, env->files, error, size)) {
		atr_producer_close(p);
		return NULL;
	}
	if (p->count)
		p->due_ns = 0;
	return p;
}
