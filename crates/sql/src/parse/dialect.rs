//! The dialects that statements are read in.
//!
//! By default that is DataFusion's generic dialect with what its functions need: lambdas, ORDER BY ALL and `STRUCT(a INT)`. Any
//! other is sqlparser's own, by the setting `datafusion.sql_parser.dialect`.

use std::any::TypeId;

use datafusion_common::config::Dialect as Name;
use datafusion_sql::parser::{ResetStatement, Statement as DataFusionStatement};
use datafusion_sql::sqlparser::ast::{Expr, Set, Statement as SqlStatement};
use datafusion_sql::sqlparser::dialect::{Dialect, GenericDialect, dialect_from_str};
use datafusion_sql::sqlparser::keywords::Keyword;
use datafusion_sql::sqlparser::tokenizer::{Token, TokenWithSpan};

/// The setting that names the dialect.
pub(crate) const SETTING: &str = "datafusion.sql_parser.dialect";

/// The generic dialect, and what it lacks.
#[derive(Debug)]
struct NightjarDialect;

/// Answers as the generic dialect does.
macro_rules! as_generic {
    ($($question:ident),+ $(,)?) => {
        $(fn $question(&self) -> bool { GenericDialect.$question() })+
    };
}

impl Dialect for NightjarDialect {
    /// What sqlparser asks by the dialect's type.
    fn dialect(&self) -> TypeId {
        GenericDialect.dialect()
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        GenericDialect.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        GenericDialect.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        GenericDialect.is_identifier_part(ch)
    }

    fn supports_lambda_functions(&self) -> bool {
        true
    }

    fn supports_order_by_all(&self) -> bool {
        true
    }

    as_generic!(
        supports_unicode_string_literal,
        supports_partition_by_after_order_by,
        supports_array_join_syntax,
        supports_group_by_expr,
        supports_group_by_with_modifier,
        supports_left_associative_joins_without_parens,
        supports_connect_by,
        supports_match_recognize,
        supports_pipe_operator,
        supports_start_transaction_modifier,
        supports_window_function_null_treatment_arg,
        supports_dictionary_syntax,
        supports_window_clause_named_window_reference,
        supports_parenthesized_set_variables,
        supports_select_wildcard_except,
        support_map_literal_syntax,
        allow_extract_custom,
        allow_extract_single_quotes,
        supports_extract_comma_syntax,
        supports_create_view_comment_syntax,
        supports_parens_around_table_factor,
        supports_values_as_table_factor,
        supports_create_index_with_clause,
        supports_explain_with_utility_options,
        supports_limit_comma,
        supports_update_order_by,
        supports_from_first_select,
        supports_projection_trailing_commas,
        supports_asc_desc_in_column_definition,
        supports_try_convert,
        supports_bitwise_shift_operators,
        supports_comment_on,
        supports_load_extension,
        supports_named_fn_args_with_assignment_operator,
        supports_struct_literal,
        supports_empty_projections,
        supports_nested_comments,
        supports_multiline_comment_hints,
        supports_user_host_grantee,
        supports_string_escape_constant,
        supports_array_typedef_with_brackets,
        supports_match_against,
        supports_set_names,
        supports_comma_separated_set_assignments,
        supports_filter_during_aggregation,
        supports_select_wildcard_exclude,
        supports_data_type_signed_suffix,
        supports_interval_options,
        supports_quote_delimited_string,
        supports_select_wildcard_replace,
        supports_select_wildcard_ilike,
        supports_select_wildcard_rename,
        supports_optimize_table,
        supports_install,
        supports_detach,
        supports_prewhere,
        supports_with_fill,
        supports_limit_by,
        supports_interpolate,
        supports_settings,
        supports_select_format,
        supports_comment_optimizer_hint,
        supports_constraint_keyword_without_name,
        supports_key_column_option,
        supports_comma_separated_trim,
        supports_cte_without_as,
        supports_select_item_multi_column_alias,
        supports_xml_expressions,
    );
}

/// Returns the dialect of this name.
pub(crate) fn dialect(name: Name) -> Box<dyn Dialect> {
    match name {
        Name::Generic => Box::new(NightjarDialect),
        // All that the setting takes are known there.
        other => dialect_from_str(other).unwrap_or_else(|| Box::new(NightjarDialect)),
    }
}

/// Returns the dialect in which what follows a statement is written, if the statement changes it.
pub(crate) fn changed_dialect(statement: &DataFusionStatement) -> Option<Name> {
    match statement {
        DataFusionStatement::Statement(statement) => match statement.as_ref() {
            SqlStatement::Set(Set::SingleAssignment { variable, values, .. })
                if variable.to_string().eq_ignore_ascii_case(SETTING) =>
            {
                let name = match values.as_slice() {
                    [Expr::Value(value)] => value.value.clone().into_string()?,
                    [Expr::Identifier(word)] => word.value.clone(),
                    _ => return None,
                };
                name.parse().ok()
            }
            _ => None,
        },
        DataFusionStatement::Reset(ResetStatement::Variable(variable))
            if variable.to_string().eq_ignore_ascii_case(SETTING) =>
        {
            Some(Name::Generic)
        }
        _ => None,
    }
}

/// Writes the types `STRUCT(a INT)` as `STRUCT<a INT>`, as which alone the generic dialect reads them. A call of the function `struct`
/// has another place: no name, AS or `::` stands before it.
pub(crate) fn with_struct_types(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    // For each open bracket, whether it is one of a type.
    let mut open: Vec<bool> = Vec::new();
    let mut before = Token::SemiColon;
    let mut at_type = false;
    for token in &mut tokens {
        match &token.token {
            Token::Whitespace(_) => continue,
            Token::LParen => {
                open.push(at_type);
                if at_type {
                    token.token = Token::Lt;
                }
                at_type = false;
            }
            Token::RParen => {
                if open.pop() == Some(true) {
                    token.token = Token::Gt;
                }
                at_type = false;
            }
            Token::Word(word) if word.quote_style.is_none() && word.keyword == Keyword::STRUCT => {
                at_type = precedes_type(&before, &open);
            }
            _ => at_type = false,
        }
        before = token.token.clone();
    }
    tokens
}

/// Whether what follows a token is a type, if it is the word STRUCT.
fn precedes_type(before: &Token, open: &[bool]) -> bool {
    match before {
        Token::DoubleColon => true,
        // ARRAY<STRUCT(a INT)>
        Token::Lt => true,
        // The name of a column or of a field.
        Token::Word(word) if word.quote_style.is_some() => true,
        Token::Word(word) => {
            word.keyword == Keyword::NoKeyword || word.keyword == Keyword::AS && !open.is_empty()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use datafusion_sql::parser::DFParserBuilder;
    use datafusion_sql::sqlparser::tokenizer::Tokenizer;

    use super::*;

    fn printed(sql: &str) -> String {
        let dialect = dialect(Name::Generic);
        let tokens = Tokenizer::new(dialect.as_ref(), sql).tokenize_with_location().unwrap();
        let parser = DFParserBuilder::new(with_struct_types(tokens)).with_dialect(dialect.as_ref()).build();
        parser.unwrap().parse_statement().unwrap().to_string()
    }

    #[test]
    fn the_default_dialect_has_lambdas_order_by_all_and_types_in_parentheses() {
        for (sql, expected) in [
            ("SELECT array_transform([1], x -> x + 1)", "SELECT array_transform([1], x -> x + 1)"),
            ("SELECT a FROM t ORDER BY ALL", "SELECT a FROM t ORDER BY ALL"),
            (
                "SELECT CAST(x AS STRUCT(a INT, b struct(c INT))), y::STRUCT(a INT)",
                "SELECT CAST(x AS STRUCT<a INT, b STRUCT<c INT>>), y::STRUCT<a INT>",
            ),
            ("SELECT struct(a, b), struct(1)", "SELECT STRUCT(a, b), STRUCT(1)"),
            ("SELECT 2 ^ 3, [1, 2][1], {'a': 1}", "SELECT 2 ^ 3, [1, 2][1], {'a': 1}"),
        ] {
            assert_eq!(printed(sql), expected, "{sql}");
        }
    }

    #[test]
    fn the_default_dialect_is_the_generic_one_elsewhere() {
        assert!(dialect(Name::Generic).is::<GenericDialect>());
        assert!(!dialect(Name::PostgreSQL).is::<GenericDialect>());
    }
}
