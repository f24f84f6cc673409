"""The tokens of a text are counted before it is parsed, as many as the parser counts."""

from graphql import Lexer, Source, TokenKind
from hypothesis import given
from hypothesis import strategies as st

from app.graphql.documents.document_size import has_more_tokens

TOKENS = (
    "name", "_1", "0", "-12", "1.5", "-1.5e+3", "2E9", "...", "{", "}", "(", ")", ":", "=", "@", "$", "!", "[", "]",
    "|", "&", '""', '"a b"', '"\\" # {"', '"\\u00e9"', '""""""', '"""a "" b"""', '"""\\""" {\n"""', '"""\\\\ """',
    "# a {comment}\n", '#"\n',
)  # fmt: skip


def count_tokens(text):
    lexer = Lexer(Source(text))
    count = 0
    while (token := lexer.advance()).kind is not TokenKind.EOF:
        count += token.kind is not TokenKind.COMMENT
    return count


@given(st.lists(st.sampled_from(TOKENS), max_size=12), st.sampled_from([" ", ", ", "\n"]))
def test_the_tokens_of_a_text_are_counted_as_the_parser_counts_them(tokens, separator):
    text = separator.join(tokens)
    count = count_tokens(text)

    assert not has_more_tokens(text, count)
    assert count == 0 or has_more_tokens(text, count - 1)
