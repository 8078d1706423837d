/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/monitor_line.h"

#include "core/format.h"
#include "core/string.h"

#define CONTROL(letter) ((letter)-64)
#define DELETE		0x7f
#define BELL		"\a"
#define CLEAR_TO_END	"\x1b[K"

/* Of an escape sequence: none, ESC, ESC [ and digits, ESC O. ECMA-48: "Control sequences". */
enum { ESCAPE_NONE, ESCAPE_BEGUN, ESCAPE_CONTROL, ESCAPE_SHIFT };

enum key {
	KEY_NONE,
	KEY_LEFT,
	KEY_RIGHT,
	KEY_HOME,
	KEY_END,
	KEY_UP,
	KEY_DOWN,
	KEY_DELETE,
};

static size_t text_bytes(const char *text)
{
	size_t bytes = 0;

	while (text[bytes] != '\0')
		bytes++;
	return bytes;
}

static void put(struct monitor_line *line, const char *text)
{
	line->owner.put(line->owner.context, text, text_bytes(text));
}

static void bell(struct monitor_line *line)
{
	put(line, BELL);
}

/* --- what is seen ---------------------------------------------------------------------------- */

static size_t room(const struct monitor_line *line)
{
	return MONITOR_LINE_COLUMNS - text_bytes(line->owner.prompt);
}

/* The part that holds the cursor. */
static void scroll(struct monitor_line *line)
{
	if (line->cursor < line->first)
		line->first = line->cursor;
	if (line->cursor - line->first > room(line))
		line->first = line->cursor - room(line);
}

static void draw(struct monitor_line *line)
{
	char move[16];
	size_t shown, right;

	scroll(line);
	shown = line->bytes - line->first;
	if (shown > room(line))
		shown = room(line);
	put(line, "\r");
	put(line, line->owner.prompt);
	line->owner.put(line->owner.context, line->text + line->first, shown);
	put(line, CLEAR_TO_END "\r");
	right = text_bytes(line->owner.prompt) + line->cursor - line->first;
	if (right == 0)
		return;
	format_string(move, sizeof(move), "\x1b[%uC", (unsigned)right);
	put(line, move);
}

void monitor_line_show(struct monitor_line *line)
{
	draw(line);
}

static void clear(struct monitor_line *line)
{
	line->bytes = line->cursor = line->first = 0;
	line->history_back = 0;
}

void monitor_line_init(struct monitor_line *line, const struct monitor_line_owner *owner)
{
	*line = (struct monitor_line){ .owner = *owner };
}

/* --- change ---------------------------------------------------------------------------------- */

static void insert(struct monitor_line *line, char c)
{
	if (line->bytes + 1 >= sizeof(line->text)) {
		bell(line);
		return;
	}
	memmove(line->text + line->cursor + 1, line->text + line->cursor,
		line->bytes - line->cursor);
	line->text[line->cursor++] = c;
	line->bytes++;
	/* The usual case costs one byte on the line. */
	if (line->cursor == line->bytes && line->cursor - line->first < room(line))
		line->owner.put(line->owner.context, &c, 1);
	else
		draw(line);
}

static void take_away(struct monitor_line *line, size_t from, size_t to)
{
	if (from == to) {
		bell(line);
		return;
	}
	memmove(line->text + from, line->text + to, line->bytes - to);
	line->bytes -= to - from;
	line->cursor = from;
	draw(line);
}

static void move(struct monitor_line *line, size_t to)
{
	line->cursor = to;
	draw(line);
}

static size_t word_begin(const struct monitor_line *line)
{
	size_t at = line->cursor;

	while (at > 0 && line->text[at - 1] == ' ')
		at--;
	while (at > 0 && line->text[at - 1] != ' ')
		at--;
	return at;
}

/* --- history --------------------------------------------------------------------------------- */

static char *history(struct monitor_line *line, unsigned back)
{
	return line->history[(line->history_count - back) % MONITOR_HISTORY_LINES];
}

/* Not what is empty, nor what was the last one anyway. */
static void remember(struct monitor_line *line)
{
	if (line->bytes == 0)
		return;
	if (line->history_count > 0 && memcmp(history(line, 1), line->text, line->bytes + 1) == 0)
		return;
	memcpy(history(line, 0), line->text, line->bytes + 1);
	line->history_count++;
}

static void recall(struct monitor_line *line, unsigned back)
{
	unsigned kept = line->history_count < MONITOR_HISTORY_LINES ? line->history_count
								    : MONITOR_HISTORY_LINES;

	if (back > kept) {
		bell(line);
		return;
	}
	line->text[line->bytes] = '\0';
	if (line->history_back == 0)
		memcpy(line->typed, line->text, line->bytes + 1);
	line->history_back = back;
	memcpy(line->text, back == 0 ? line->typed : history(line, back), sizeof(line->text));
	line->bytes = line->cursor = text_bytes(line->text);
	line->first = 0;
	draw(line);
}

/* --- completion ------------------------------------------------------------------------------ */

static bool begins_with(const char *word, const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		if (word[i] == '\0' || word[i] != text[i])
			return false;
	}
	return true;
}

struct matches {
	size_t word, bytes; /* of the line: what is there already */
	unsigned count;
	const char *first;
	size_t common; /* characters that all of them begin with */
};

static void list(struct monitor_line *line, const struct matches *matches)
{
	const char *word;

	put(line, "\r\n");
	for (unsigned i = 0;
	     (word = line->owner.word(line->owner.context, line->text, matches->word, i)) != NULL;
	     i++) {
		if (!begins_with(word, line->text + matches->word, matches->bytes))
			continue;
		put(line, word);
		put(line, "  ");
	}
	put(line, "\r\n");
	draw(line);
}

static void look_for_matches(struct monitor_line *line, struct matches *matches)
{
	const char *word;

	for (unsigned i = 0;
	     (word = line->owner.word(line->owner.context, line->text, matches->word, i)) != NULL;
	     i++) {
		size_t same = 0;

		if (!begins_with(word, line->text + matches->word, matches->bytes))
			continue;
		if (matches->count++ == 0) {
			matches->first = word;
			matches->common = text_bytes(word);
		}
		while (same < matches->common && word[same] == matches->first[same])
			same++;
		matches->common = same;
	}
}

static void complete(struct monitor_line *line)
{
	struct matches matches = { .word = line->cursor };

	while (matches.word > 0 && line->text[matches.word - 1] != ' ')
		matches.word--;
	matches.bytes = line->cursor - matches.word;
	line->text[line->bytes] = '\0';
	if (line->owner.word != NULL)
		look_for_matches(line, &matches);
	if (matches.count == 0) {
		bell(line);
		return;
	}
	if (matches.count > 1 && matches.common == matches.bytes) {
		list(line, &matches);
		return;
	}
	for (size_t i = matches.bytes; i < matches.common; i++)
		insert(line, matches.first[i]);
	if (matches.count == 1 && line->cursor == line->bytes)
		insert(line, ' ');
}

/* --- keys ------------------------------------------------------------------------------------ */

static enum monitor_line_event end(struct monitor_line *line, enum monitor_line_event event)
{
	line->text[line->bytes] = '\0';
	if (event == MONITOR_LINE_ENTERED)
		remember(line);
	else
		put(line, "^C");
	put(line, "\r\n");
	clear(line);
	return event;
}

static void press(struct monitor_line *line, enum key key)
{
	switch (key) {
	case KEY_LEFT:
		move(line, line->cursor > 0 ? line->cursor - 1 : 0);
		break;
	case KEY_RIGHT:
		move(line, line->cursor < line->bytes ? line->cursor + 1 : line->bytes);
		break;
	case KEY_HOME:
		move(line, 0);
		break;
	case KEY_END:
		move(line, line->bytes);
		break;
	case KEY_UP:
		recall(line, line->history_back + 1);
		break;
	case KEY_DOWN:
		if (line->history_back == 0)
			bell(line);
		else
			recall(line, line->history_back - 1);
		break;
	case KEY_DELETE:
		take_away(line, line->cursor,
			  line->cursor < line->bytes ? line->cursor + 1 : line->cursor);
		break;
	case KEY_NONE:
		bell(line);
		break;
	}
}

/* The last character of an escape sequence. */
static enum key escape_key(const struct monitor_line *line, char c)
{
	static const enum key letters[] = {
		['A' - 'A'] = KEY_UP,	['B' - 'A'] = KEY_DOWN, ['C' - 'A'] = KEY_RIGHT,
		['D' - 'A'] = KEY_LEFT, ['F' - 'A'] = KEY_END,	['H' - 'A'] = KEY_HOME,
	};
	static const enum key numbers[] = {
		[1] = KEY_HOME, [3] = KEY_DELETE, [4] = KEY_END, [7] = KEY_HOME, [8] = KEY_END,
	};

	if (c >= 'A' && c <= 'H')
		return letters[c - 'A'];
	if (c == '~' && line->escape_number < sizeof(numbers) / sizeof(numbers[0]))
		return numbers[line->escape_number];
	return KEY_NONE;
}

/* False: the byte is not, or no longer, a part of a sequence. */
static bool take_escape(struct monitor_line *line, uint8_t byte)
{
	char c = (char)byte;

	if (line->escape == ESCAPE_NONE || byte < ' ') {
		line->escape = byte == CONTROL('[') ? ESCAPE_BEGUN : ESCAPE_NONE;
		line->escape_number = 0;
		return line->escape == ESCAPE_BEGUN;
	}
	if (line->escape == ESCAPE_BEGUN && (c == '[' || c == 'O')) {
		line->escape = c == '[' ? ESCAPE_CONTROL : ESCAPE_SHIFT;
		return true;
	}
	if (line->escape == ESCAPE_CONTROL && ((c >= '0' && c <= '9') || c == ';')) {
		if (c != ';')
			line->escape_number = (uint8_t)(line->escape_number * 10 + (c - '0'));
		return true;
	}
	line->escape = ESCAPE_NONE;
	press(line, escape_key(line, c));
	return true;
}

static void control(struct monitor_line *line, uint8_t byte)
{
	switch (byte) {
	case CONTROL('A'):
		press(line, KEY_HOME);
		break;
	case CONTROL('B'):
		press(line, KEY_LEFT);
		break;
	case CONTROL('D'):
		press(line, KEY_DELETE);
		break;
	case CONTROL('E'):
		press(line, KEY_END);
		break;
	case CONTROL('F'):
		press(line, KEY_RIGHT);
		break;
	case CONTROL('H'):
	case DELETE:
		take_away(line, line->cursor > 0 ? line->cursor - 1 : 0, line->cursor);
		break;
	case CONTROL('I'):
		complete(line);
		break;
	case CONTROL('K'):
		line->bytes = line->cursor;
		draw(line);
		break;
	case CONTROL('L'):
		draw(line);
		break;
	case CONTROL('N'):
		press(line, KEY_DOWN);
		break;
	case CONTROL('P'):
		press(line, KEY_UP);
		break;
	case CONTROL('U'):
		take_away(line, 0, line->cursor);
		break;
	case CONTROL('W'):
		take_away(line, word_begin(line), line->cursor);
		break;
	default:
		bell(line);
		break;
	}
}

enum monitor_line_event monitor_line_byte(struct monitor_line *line, uint8_t byte)
{
	bool after_return = line->after_return;

	line->after_return = false;
	if (take_escape(line, byte))
		return MONITOR_LINE_NOTHING;
	if (byte == '\n' && after_return)
		return MONITOR_LINE_NOTHING;
	if (byte == '\r' || byte == '\n') {
		line->after_return = byte == '\r';
		return end(line, MONITOR_LINE_ENTERED);
	}
	if (byte == CONTROL('C'))
		return end(line, MONITOR_LINE_GIVEN_UP);
	if (byte >= ' ' && byte < DELETE)
		insert(line, (char)byte);
	else
		control(line, byte);
	return MONITOR_LINE_NOTHING;
}
