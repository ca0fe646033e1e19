/* SPDX-License-Identifier: ISC */
/* How fast lines are parsed, all grammars on, as ratios.
 *   bench_parse FILE [PERL-SCRIPT]
 * Prints one row each for a bare memchr line splitter over the mapped file,
 * the parser over the same, and, with the script, Perl doing what the old
 * tools do. Each measured three times; the best counts. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/grammar/parse.h"

enum { RUNS = 3 };

struct count {
	size_t lines;
	size_t logins;
	double seconds;
};

static double
now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static struct count
split_only(const char *p, const char *end)
{
	struct count c = { .lines = 0 };
	double start = now_s();

	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));

		if (nl == NULL)
			break;
		c.lines++;
		p = nl + 1;
	}
	c.seconds = now_s() - start;
	return c;
}

static struct count
parse_all(const char *p, const char *end, struct parser *parser)
{
	struct count c = { .lines = 0 };
	struct parse_result result;
	double start = now_s();
	int64_t now = (int64_t)time(NULL);

	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));

		if (nl == NULL)
			break;
		parser_line(parser, p, (size_t)(nl - p), now, &result);
		c.lines++;
		c.logins += result.fate == FATE_LOGIN;
		p = nl + 1;
	}
	c.seconds = now_s() - start;
	return c;
}

static struct count
perl(const char *script, const char *mode, const char *file)
{
	struct count c = { .lines = 0 };
	char command[1024];
	FILE *pipe;

	snprintf(
	    command, sizeof(command), "perl '%s' %s '%s'", script, mode, file);
	pipe = popen(command, "r");
	if (pipe == NULL ||
	    fscanf(pipe, "%zu %zu %lf", &c.lines, &c.logins, &c.seconds) != 3)
		fprintf(stderr, "bench_parse: %s failed\n", command);
	if (pipe != NULL)
		pclose(pipe);
	return c;
}

static void
keep_best(struct count *best, struct count c)
{
	if (best->seconds == 0 || c.seconds < best->seconds)
		*best = c;
}

static void
print_row(const char *name, struct count c)
{
	printf("%-34s %9zu lines %8zu logins %8.3f s %8.2f M lines/s "
	       "%7.1f ns/line\n",
	    name, c.lines, c.logins, c.seconds,
	    (double)c.lines / c.seconds * 1e-6,
	    c.seconds / (double)c.lines * 1e9);
}

static void
print_ratio(
    const char *name, struct count ours, struct count theirs, double target)
{
	double ratio = theirs.seconds / ours.seconds;

	printf("parser / %-25s %6.2f   target >= %.2f   %s\n", name, ratio,
	    target, ratio >= target ? "met" : "MISSED");
}

int
main(int argc, char **argv)
{
	const struct parser_options options = { .servers_n = 0 };
	struct count split = { 0 }, parse = { 0 };
	struct parser *parser;
	struct err err;
	struct stat st;
	const char *map;
	int fd;

	if (argc < 2 || (fd = open(argv[1], O_RDONLY)) == -1 ||
	    fstat(fd, &st) == -1) {
		fprintf(stderr, "usage: bench_parse FILE [parse.pl]\n");
		return 2;
	}
	map = mmap(NULL, (size_t)st.st_size, PROT_READ,
	    MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (map == MAP_FAILED) {
		perror(argv[1]);
		return 1;
	}
	if (parser_new(&options, &parser, &err) == -1) {
		fprintf(stderr, "bench_parse: %s\n", err.text);
		return 1;
	}
	for (int i = 0; i < RUNS; i++) {
		keep_best(&split, split_only(map, map + st.st_size));
		keep_best(&parse, parse_all(map, map + st.st_size, parser));
	}
	print_row("memchr splitter", split);
	print_row("parser_line, all grammars", parse);
	if (argc > 2) {
		struct count one = perl(argv[2], "one", argv[1]);
		struct count turn = perl(argv[2], "turn", argv[1]);

		print_row("Perl, one alternation", one);
		print_row("Perl, patterns in turn", turn);
		print_ratio("Perl alternation", parse, one, 8);
		print_ratio("Perl in turn", parse, turn, 30);
	}
	print_ratio("memchr splitter", parse, split, 0.35);
	parser_free(&parser);
	munmap((void *)(uintptr_t)map, (size_t)st.st_size);
	close(fd);
	return 0;
}
