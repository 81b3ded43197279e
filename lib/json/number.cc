/* SPDX-License-Identifier: BSD-3-Clause */
#include <double-conversion/double-conversion.h>

extern "C" {
double json_decimal_to_double(const char *text, int length);
int json_double_to_text(double value, char *out);
}

static constexpr int number_size = 32;

double json_decimal_to_double(const char *text, int length)
{
	using double_conversion::StringToDoubleConverter;
	static const StringToDoubleConverter converter(StringToDoubleConverter::NO_FLAGS, 0.0, 0.0,
						       nullptr, nullptr);
	int processed = 0;

	return converter.StringToDouble(text, length, &processed);
}

int json_double_to_text(double value, char *out)
{
	using double_conversion::DoubleToStringConverter;
	double_conversion::StringBuilder builder(out, number_size);

	DoubleToStringConverter::EcmaScriptConverter().ToShortest(value, &builder);
	int length = builder.position();
	builder.Finalize();
	return length;
}
