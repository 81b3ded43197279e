/* SPDX-License-Identifier: BSD-3-Clause */
/* A file of results of any bytes: refused with a sentence, or made into model and page in bounds.
 * The page holds no script, whatever the file says, and numbers for coordinates. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../app/bench/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void page(const struct figures *figures)
{
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);

	if (!out)
		abort();
	report_write(figures, out);
	fclose(out);
	if (strstr(text, "<script") || strstr(text, "=\"nan") || strstr(text, "=\"inf") ||
	    strstr(text, "=\"-nan"))
		abort();
	free(text);
}

static void model(const struct figures *figures)
{
	struct model model;
	char error[512] = "", *text = NULL;
	size_t length = 0;
	json_t *json;
	FILE *out;

	if (model_make(&model, figures, error, sizeof(error)) < 0) {
		if (!error[0])
			abort();
		return;
	}
	out = open_memstream(&text, &length);
	if (!out)
		abort();
	model_print(&model, out);
	fclose(out);
	free(text);
	json = model_json(&model);
	if (!json)
		abort();
	json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char error[512] = "";
	struct figures *figures = figures_parse((const char *)data, size, error, sizeof(error));

	if (!figures) {
		if (!error[0])
			abort();
		return 0;
	}
	model(figures);
	page(figures);
	figures_free(figures);
	return 0;
}
