//! Markup under construction. Only literals of this program are markup: whatever else is added is escaped.

use std::fmt::{self, Display, Write};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::figures;

/// What may stand in a path's segment and in a query's value as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// What stands for nothing.
const NONE: &str = "–";

/// A piece of a page.
#[derive(Default)]
pub(super) struct Html(String);

impl Html {
    /// Returns a text.
    pub(super) fn of(text: impl Display) -> Self {
        let mut html = Self::default();
        html.text(text);
        html
    }

    /// Returns a count, or a dash for none.
    pub(super) fn count(number: Option<u64>) -> Self {
        number.map_or_else(Self::none, |number| Self::figure(&figures::count(number)))
    }

    /// Returns the dash that stands for nothing.
    pub(super) fn none() -> Self {
        Self::of(NONE)
    }

    /// Returns a text, or a dash for none.
    pub(super) fn or_none(text: Option<&str>) -> Self {
        text.filter(|text| !text.is_empty()).map_or_else(Self::none, Self::of)
    }

    /// Returns a short text that stays on one line.
    fn figure(text: &str) -> Self {
        let mut html = Self::default();
        html.raw("<span class=\"figure\">").text(text).raw("</span>");
        html
    }

    /// Returns an error's message, or a dash for none. Long ones are cut in tables.
    pub(super) fn error(text: Option<&str>) -> Self {
        let Some(text) = text else {
            return Self::none();
        };
        let mut html = Self::default();
        html.raw("<p class=\"error\">").text(text).raw("</p>");
        html
    }

    /// Returns a text of some length: the whole of it in the fixed font.
    pub(super) fn code(text: &str) -> Self {
        let mut html = Self::default();
        html.raw("<pre tabindex=\"0\"><code>").text(text).raw("</code></pre>");
        html
    }

    /// Returns a link to a job's page.
    pub(super) fn job(name: &str) -> Self {
        let mut html = Self::default();
        html.raw("<a href=\"/jobs/").encoded(name).raw("\">").text(name).raw("</a>");
        html
    }

    /// Returns a link to the page of a job's run.
    pub(super) fn run(run: i64) -> Self {
        let mut html = Self::default();
        html.raw("<a href=\"/runs/").text(run).raw("\">#").text(run).raw("</a>");
        html
    }

    /// Returns a link to the page of a training run.
    pub(super) fn training(run: impl Display) -> Self {
        let mut html = Self::default();
        html.raw("<a href=\"/training/").text(&run).raw("\">#").text(&run).raw("</a>");
        html
    }

    /// Returns a time, and how far away it is.
    pub(super) fn time(at: Option<i64>, now: i64) -> Self {
        let Some((at, (people, machine))) = at.and_then(|at| Some((at, figures::moment(at)?))) else {
            return Self::none();
        };
        let mut html = Self::default();
        html.raw("<time datetime=\"").text(machine).raw("\">").text(people).raw("</time> <small>");
        html.text(figures::distance(at, now)).raw("</small>");
        html
    }

    /// Returns how long something took, or has taken so far.
    pub(super) fn took(from: Option<i64>, until: Option<i64>, now: i64) -> Self {
        match (from, until) {
            (Some(from), Some(until)) => Self::figure(&figures::duration(until.saturating_sub(from))),
            (Some(from), None) => {
                let mut html = Self::figure(&figures::duration(now.saturating_sub(from)));
                html.raw(" <small>so far</small>");
                html
            }
            _ => Self::none(),
        }
    }

    /// Returns a status; its colour only says again what the word says.
    pub(super) fn status(word: &str) -> Self {
        let class = match word {
            "succeeded" | "done" | "active" => "<span class=\"status good\">",
            "failed" | "suspended" | "interrupted" => "<span class=\"status bad\">",
            "running" | "stopping" => "<span class=\"status busy\">",
            _ => "<span class=\"status idle\">",
        };
        let mut html = Self::default();
        html.raw(class).text(word).raw("</span>");
        html
    }

    /// Adds markup.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Adds a text, as an element's content or as an attribute's value in double quotes.
    pub(super) fn text(&mut self, text: impl Display) -> &mut Self {
        // Writing to a string does not fail; a Display that does has written what it could.
        let _ = write!(Escape(&mut self.0), "{text}");
        self
    }

    /// Adds a part of an address.
    pub(super) fn encoded(&mut self, part: &str) -> &mut Self {
        self.0.extend(utf8_percent_encode(part, PLAIN));
        self
    }

    /// Adds a piece.
    pub(super) fn add(&mut self, piece: &Html) -> &mut Self {
        self.0.push_str(&piece.0);
        self
    }

    /// Adds a table, or `none` where it would be empty. The first cell of a row says what the row is about. On a narrow screen a row is a
    /// card; the roles are named because browsers forget them of tables that are not laid out as such.
    pub(super) fn table<const N: usize>(
        &mut self,
        caption: &'static str,
        columns: [&'static str; N],
        none: &'static str,
        rows: impl IntoIterator<Item = [Html; N]>,
    ) -> &mut Self {
        let mut rows = rows.into_iter().peekable();
        if rows.peek().is_none() {
            return self.raw("<p class=\"none\">").raw(none).raw("</p>");
        }
        self.raw("<table role=\"table\"><caption>")
            .raw(caption)
            .raw("</caption><thead role=\"rowgroup\"><tr role=\"row\">");
        for column in columns {
            self.raw("<th role=\"columnheader\" scope=\"col\">").raw(column).raw("</th>");
        }
        self.raw("</tr></thead><tbody role=\"rowgroup\">");
        for row in rows {
            self.raw("<tr role=\"row\">");
            for (at, (column, cell)) in columns.iter().zip(&row).enumerate() {
                if at == 0 {
                    self.raw("<th role=\"rowheader\" scope=\"row\"><div>").add(cell).raw("</div></th>");
                    continue;
                }
                // A card leaves out what there is not.
                let class = if cell.0 == NONE { "class=\"empty\" " } else { "" };
                self.raw("<td role=\"cell\" ").raw(class).raw("data-label=\"").raw(column).raw("\"><div>");
                self.add(cell).raw("</div></td>");
            }
            self.raw("</tr>");
        }
        self.raw("</tbody></table>")
    }

    /// Adds pairs of a term and what it is.
    pub(super) fn facts<const N: usize>(&mut self, facts: [(&'static str, Html); N]) -> &mut Self {
        self.raw("<dl>");
        for (term, fact) in &facts {
            self.raw("<div><dt>").raw(term).raw("</dt><dd>").add(fact).raw("</dd></div>");
        }
        self.raw("</dl>")
    }

    /// Returns the markup.
    pub(super) fn into_string(self) -> String {
        self.0
    }
}

/// Escapes what is written to it.
struct Escape<'a>(&'a mut String);

impl Write for Escape<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for letter in text.chars() {
            match letter {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\n' | '\t' => self.0.push(letter),
                // What would turn the text around it, or is no text.
                '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => self.0.push('\u{FFFD}'),
                letter if letter.is_control() => self.0.push('\u{FFFD}'),
                letter => self.0.push(letter),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_is_text_whatever_it_says() {
        let hostile = "\"><script>alert('x')</script>&\u{0}\u{202E}";
        assert_eq!(
            Html::of(hostile).into_string(),
            "&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;\u{FFFD}\u{FFFD}"
        );
        let link = Html::job("a/b?\"<ü>").into_string();
        assert_eq!(link, "<a href=\"/jobs/a%2Fb%3F%22%3C%C3%BC%3E\">a/b?&quot;&lt;ü&gt;</a>");
    }
}
