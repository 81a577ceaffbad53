//! The places in an answer that mean something: where usage is told, and where generated text stands. Every other
//! place is [`Place::Nothing`], and so is everything in it.

use super::heard::Count;

/// A place in a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Nothing,

    /// The document: a chunk, or an array of chunks.
    Root,
    Chunk,
    /// Its `type`.
    Type,
    /// Its `done`.
    Done,

    /// `message`: of Anthropic's first event, or Ollama's.
    Message,
    /// `response`: of the last event of OpenAI's responses, or Ollama's text.
    Response,
    /// `usage`
    Usage,
    /// What `usage` says more closely of the input.
    Details,
    /// `usageMetadata`
    Metadata,
    Count(Count),

    /// Generated text, if it is a string.
    Text,
    /// Generated, whatever it is: what tools are called with, where that is no string.
    Made,
    /// `delta`: text in OpenAI's responses, an object with Anthropic.
    Delta,
    /// OpenAI's chat and completions: `choices`, one of them, and its `delta` or `message`.
    Choices,
    Choice,
    Said,
    Calls,
    Call,
    Function,
    /// Text, or blocks of it: in Anthropic's documents, in messages that are put together.
    Content,
    Block,
    /// `output` of OpenAI's responses, and one of them.
    Outputs,
    Output,
    /// Gemini: `candidates`, one of them, its `content`, and the parts of that.
    Candidates,
    Candidate,
    CandidateContent,
    Parts,
    Part,
}

/// How far down places lie at most: `[` chunk, choices, choice, what it said, calls, call, function.
pub(super) const DEEPEST: usize = 8;

impl Place {
    /// The place of the member `key`, where this is an object.
    pub(super) fn member(self, key: &[u8]) -> Self {
        match (self, key) {
            (Self::Root | Self::Chunk, b"usage") | (Self::Message | Self::Response, b"usage") => Self::Usage,
            (Self::Root | Self::Chunk, b"usageMetadata") => Self::Metadata,
            (Self::Root | Self::Chunk, b"message") => Self::Message,
            (Self::Root | Self::Chunk, b"response") => Self::Response,
            (Self::Root | Self::Chunk, b"prompt_eval_count") => Self::Count(Count::OllamaPrompt),
            (Self::Root | Self::Chunk, b"eval_count") => Self::Count(Count::OllamaEval),
            (Self::Root | Self::Chunk, b"type") => Self::Type,
            (Self::Root | Self::Chunk, b"done") => Self::Done,
            (Self::Root | Self::Chunk, b"delta") => Self::Delta,
            (Self::Root | Self::Chunk, b"choices") => Self::Choices,
            (Self::Root | Self::Chunk, b"candidates") => Self::Candidates,
            (Self::Root | Self::Chunk, b"content") => Self::Content,
            (Self::Root | Self::Chunk, b"output") => Self::Outputs,

            (Self::Usage, b"prompt_tokens") => Self::Count(Count::Prompt),
            (Self::Usage, b"completion_tokens") => Self::Count(Count::Completion),
            (Self::Usage, b"input_tokens") => Self::Count(Count::Input),
            (Self::Usage, b"output_tokens") => Self::Count(Count::Output),
            (Self::Usage, b"total_tokens") => Self::Count(Count::Total),
            (Self::Usage, b"cache_read_input_tokens") => Self::Count(Count::CacheRead),
            (Self::Usage, b"cache_creation_input_tokens") => Self::Count(Count::CacheCreation),
            (Self::Usage, b"prompt_tokens_details" | b"input_tokens_details") => Self::Details,
            (Self::Details, b"cached_tokens") => Self::Count(Count::Cached),
            (Self::Metadata, b"promptTokenCount") => Self::Count(Count::GeminiPrompt),
            (Self::Metadata, b"toolUsePromptTokenCount") => Self::Count(Count::GeminiToolUse),
            (Self::Metadata, b"candidatesTokenCount") => Self::Count(Count::GeminiCandidates),
            (Self::Metadata, b"thoughtsTokenCount") => Self::Count(Count::GeminiThoughts),
            (Self::Metadata, b"totalTokenCount") => Self::Count(Count::Total),
            (Self::Metadata, b"cachedContentTokenCount") => Self::Count(Count::GeminiCached),

            (Self::Message, b"content" | b"thinking") => Self::Text,
            (Self::Message, b"tool_calls") | (Self::Block, b"input") => Self::Made,
            (Self::Part, b"functionCall" | b"executableCode") => Self::Made,
            (Self::Delta, b"text" | b"partial_json" | b"thinking") => Self::Text,
            (Self::Choice, b"delta" | b"message") => Self::Said,
            (Self::Choice, b"text") => Self::Text,
            (Self::Said, b"content") => Self::Content,
            (Self::Said, b"reasoning_content" | b"reasoning" | b"refusal") => Self::Text,
            (Self::Said, b"tool_calls") => Self::Calls,
            (Self::Said, b"function_call") | (Self::Call, b"function") => Self::Function,
            (Self::Function | Self::Output, b"arguments") => Self::Text,
            (Self::Block, b"text" | b"thinking") => Self::Text,
            (Self::Output, b"content") => Self::Content,
            (Self::Candidate, b"content") => Self::CandidateContent,
            (Self::CandidateContent, b"parts") => Self::Parts,
            (Self::Part, b"text") => Self::Text,
            _ => Self::Nothing,
        }
    }

    /// The place of what stands in it, where this is an array.
    pub(super) fn element(self) -> Self {
        match self {
            Self::Root => Self::Chunk,
            Self::Choices => Self::Choice,
            Self::Calls => Self::Call,
            Self::Content => Self::Block,
            Self::Outputs => Self::Output,
            Self::Candidates => Self::Candidate,
            Self::Parts => Self::Part,
            _ => Self::Nothing,
        }
    }

    /// Whether an object that stands here is worth reading.
    pub(super) fn has_members(self) -> bool {
        match self {
            Self::Root | Self::Chunk | Self::Message | Self::Response => true,
            Self::Usage | Self::Details | Self::Metadata => true,
            Self::Delta | Self::Choice | Self::Said | Self::Call | Self::Function | Self::Block => true,
            Self::Output | Self::Candidate | Self::CandidateContent | Self::Part => true,
            Self::Nothing | Self::Type | Self::Done | Self::Count(_) => false,
            Self::Text | Self::Made => false,
            Self::Choices | Self::Calls | Self::Content | Self::Outputs | Self::Candidates | Self::Parts => {
                false
            }
        }
    }

    /// Whether an array that stands here is.
    pub(super) fn has_elements(self) -> bool {
        self.element() != Self::Nothing
    }

    /// Whether a string that stands here has been generated.
    pub(super) fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::Made | Self::Delta | Self::Content | Self::Response)
    }
}
