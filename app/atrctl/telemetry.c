/* SPDX-License-Identifier: BSD-3-Clause */
#include "telemetry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "event_line.h"

#define ANSWER_MAX   (1 << 20)
#define ANSWER_WAIT  5 /* seconds */
#define PAGES_MAX    100000
#define SOCKET_NAME  "dpdk_telemetry.v2"
#define PREFIX_RTE   "rte"
#define COMMAND_SIZE 256

_Static_assert(sizeof(((struct telemetry *)0)->path) == sizeof(((struct sockaddr_un *)0)->sun_path),
	       "a telemetry path is a socket path");

static int find_path(struct telemetry *t, const struct telemetry_options *o)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	const char *prefix = o->file_prefix ? o->file_prefix : PREFIX_RTE;
	int n;

	if (o->socket)
		n = snprintf(t->path, sizeof(t->path), "%s", o->socket);
	else if (getuid() == 0)
		n = snprintf(t->path, sizeof(t->path), "/var/run/dpdk/%s/%s", prefix, SOCKET_NAME);
	else
		n = snprintf(t->path, sizeof(t->path), "%s/dpdk/%s/%s", runtime ? runtime : "/tmp",
			     prefix, SOCKET_NAME);
	return n > 0 && (size_t)n < sizeof(t->path) ? 0 : -ENAMETOOLONG;
}

/* One message of the socket as text; NULL with a sentence in error. */
static char *receive(struct telemetry *t, char *error)
{
	char *text = malloc(ANSWER_MAX + 1);
	ssize_t n = text ? recv(t->fd, text, ANSWER_MAX, 0) : -1;

	if (n <= 0) {
		snprintf(error, ERROR_SIZE, "%s: %s", t->path,
			 n < 0 && errno == EAGAIN ? "no answer within 5 seconds; is the appliance "
						    "stopped by a debugger or a signal?"
						  : "the appliance closed the connection");
		free(text);
		return NULL;
	}
	text[n] = '\0';
	return text;
}

int telemetry_open(struct telemetry *t, const struct telemetry_options *options, char *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval wait = {.tv_sec = ANSWER_WAIT};
	char *greeting;
	int err = find_path(t, options);

	t->fd = -1;
	if (err) {
		snprintf(error, ERROR_SIZE, "the socket's path is too long");
		return err;
	}
	memcpy(address.sun_path, t->path, sizeof(t->path));
	t->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (t->fd < 0 || connect(t->fd, (struct sockaddr *)&address, sizeof(address))) {
		err = -errno;
		snprintf(error, ERROR_SIZE,
			 "no appliance answers at %s: %s; is atr running, as this user, and with "
			 "this --file-prefix?",
			 t->path, strerror(-err));
		telemetry_close(t);
		return err;
	}
	setsockopt(t->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	greeting = receive(t, error);
	if (!greeting) {
		telemetry_close(t);
		return -EPIPE;
	}
	free(greeting);
	return 0;
}

void telemetry_close(struct telemetry *t)
{
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
}

json_t *telemetry_ask(struct telemetry *t, const char *command, char *error)
{
	json_error_t where;
	json_t *root, *value;
	char name[COMMAND_SIZE], *text;

	if (send(t->fd, command, strlen(command), MSG_NOSIGNAL) < 0) {
		snprintf(error, ERROR_SIZE, "%s: %s", t->path, strerror(errno));
		return NULL;
	}
	text = receive(t, error);
	if (!text)
		return NULL;
	root = json_loads(text, 0, &where);
	free(text);
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(command, ","), command);
	value = json_object_get(root, name);
	if (!value || json_is_null(value)) {
		snprintf(error, ERROR_SIZE,
			 "%s does not know %s; is it an atr, and of this version?", t->path, name);
		json_decref(root);
		return NULL;
	}
	if (json_integer_value(json_object_get(value, "starting"))) {
		snprintf(error, ERROR_SIZE,
			 "the appliance at %s is starting (it reads its log, or waits for links): "
			 "ask again when it says 'serving'",
			 t->path);
		json_decref(root);
		return NULL;
	}
	json_incref(value);
	json_decref(root);
	return value;
}

static json_t *ask_page(struct telemetry *t, const char *command, json_int_t offset, char *error)
{
	char text[COMMAND_SIZE];

	snprintf(text, sizeof(text), "%s,%" JSON_INTEGER_FORMAT, command, offset);
	return telemetry_ask(t, text, error);
}

json_t *telemetry_ask_pages(struct telemetry *t, const char *command, char *error)
{
	json_t *all = NULL;
	json_int_t offset = 0;

	for (int i = 0; i < PAGES_MAX; i++) {
		json_t *page = ask_page(t, command, offset, error), *next;

		if (!page) {
			json_decref(all);
			return NULL;
		}
		next = json_object_get(page, "next");
		if (!all)
			all = json_is_array(page) ? json_array() : json_object();
		if (json_is_array(page) && json_is_array(all))
			json_array_extend(all, page);
		else
			json_object_update(all, page);
		json_object_del(all, "next");
		/* A page that does not lead further must not be asked for ever. */
		if (!json_is_integer(next) || json_integer_value(next) <= offset) {
			json_decref(page);
			return all;
		}
		offset = json_integer_value(next);
		json_decref(page);
	}
	return all;
}
