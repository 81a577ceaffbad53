//! What has been heard of an answer: the numbers as each provider names them, and what they come to.

use super::Usage;

/// A number that some provider tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    /// OpenAI: `prompt_tokens`, cached ones included.
    Prompt,
    /// OpenAI: `completion_tokens`, reasoning included.
    Completion,
    /// OpenAI's responses: `input_tokens`, cached ones included. Anthropic: `input_tokens`, cached ones *not* included.
    Input,
    /// OpenAI's responses and Anthropic: `output_tokens`.
    Output,
    /// OpenAI: `total_tokens`. Gemini: `totalTokenCount`.
    Total,
    /// OpenAI: `cached_tokens` in the details of the input.
    Cached,
    /// Anthropic: `cache_read_input_tokens`.
    CacheRead,
    /// Anthropic: `cache_creation_input_tokens`.
    CacheCreation,
    /// Gemini: `promptTokenCount`, cached ones included.
    GeminiPrompt,
    /// Gemini: `toolUsePromptTokenCount`, results of tools that were asked again.
    GeminiToolUse,
    /// Gemini: `candidatesTokenCount`.
    GeminiCandidates,
    /// Gemini: `thoughtsTokenCount`, not among the candidates.
    GeminiThoughts,
    /// Gemini: `cachedContentTokenCount`.
    GeminiCached,
    /// Ollama: `prompt_eval_count`.
    OllamaPrompt,
    /// Ollama: `eval_count`.
    OllamaEval,
}

const COUNTS: usize = Count::OllamaEval as usize + 1;

/// What has been heard so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard {
    counts: [Option<u64>; COUNTS],
    /// Which of them this chunk has told, a bit each. A chunk is what may correct another: a document, a line, an event.
    told_here: u32,
    /// Whether this chunk has generated text.
    spoke_here: bool,
    /// How many chunks have.
    chunks: u64,
    /// Bytes of generated text.
    text: u64,
    /// The chunk's `type` ends a stream.
    pub(super) is_last: bool,
    /// The chunk says `"done": true`.
    says_done: bool,
    /// A chunk that was whole has said so.
    pub(super) is_done: bool,
}

impl Heard {
    /// A number is told.
    pub(super) fn count(&mut self, count: Count, told: u64) {
        let Some(slot) = self.counts.get_mut(count as usize) else { return };
        let bit = 1 << count as u32;
        *slot = match *slot {
            // Twice in one chunk: which one holds is not known, so the dearer does.
            Some(before) if self.told_here & bit != 0 => Some(before.max(told)),
            _ => Some(told),
        };
        self.told_here |= bit;
    }

    /// So many bytes of generated text pass.
    pub(super) fn text(&mut self, bytes: u64) {
        if bytes > 0 && !self.spoke_here {
            self.spoke_here = true;
            self.chunks = self.chunks.saturating_add(1);
        }
        self.text = self.text.saturating_add(bytes);
    }

    /// The chunk is of this type.
    pub(super) fn kind(&mut self, name: &[u8]) {
        self.is_last |= matches!(
            name,
            // Anthropic; OpenAI's responses, which tell usage however they end.
            b"message_stop" | b"response.completed" | b"response.incomplete" | b"response.failed"
        );
    }

    /// The chunk says that it is the last.
    pub(super) fn done(&mut self) {
        self.says_done = true;
    }

    /// The document is closed. What it has said of being the last holds only now: its numbers may come after that.
    pub(super) fn closed(&mut self) {
        self.is_done |= self.says_done;
    }

    /// What comes now is another chunk, and later than what came before.
    pub(super) fn next_chunk(&mut self) {
        self.told_here = 0;
        self.spoke_here = false;
        self.is_last = false;
        self.says_done = false;
    }

    fn get(&self, count: Count) -> Option<u64> {
        self.counts.get(count as usize).copied().flatten()
    }

    /// What that comes to.
    pub(super) fn usage(&self) -> Option<Usage> {
        let sum = |counts: &[Count]| -> Option<u64> {
            counts.iter().filter_map(|count| self.get(*count)).reduce(u64::saturating_add)
        };
        // One provider's way of telling each. Should an answer speak in several, which one holds is not known, so the
        // dearest does. (Some translate: OpenAI's `prompt_tokens` beside Anthropic's `cache_read_input_tokens`, which
        // are among them already.)
        let input = [
            self.get(Count::Prompt),
            sum(&[Count::Input, Count::CacheRead, Count::CacheCreation]),
            sum(&[Count::GeminiPrompt, Count::GeminiToolUse]),
            self.get(Count::OllamaPrompt),
        ];
        let output = [
            self.get(Count::Completion),
            self.get(Count::Output),
            sum(&[Count::GeminiCandidates, Count::GeminiThoughts]),
            self.get(Count::OllamaEval),
        ];
        let cached = [Count::Cached, Count::CacheRead, Count::GeminiCached];
        let (input, output) = (input.into_iter().max().flatten(), output.into_iter().max().flatten());
        let total = self.get(Count::Total);
        // How much of nothing was cached says nothing.
        input.or(output).or(total)?;
        let input_tokens = input.unwrap_or(0);
        let output_tokens = output.unwrap_or(0);
        Some(Usage {
            input_tokens,
            output_tokens,
            total_tokens: total.unwrap_or(0).max(input_tokens.saturating_add(output_tokens)),
            cached_tokens: cached
                .map(|count| self.get(count).unwrap_or(0))
                .into_iter()
                .max()?
                .min(input_tokens),
        })
    }

    pub(super) fn generated(&self) -> u64 {
        self.chunks.max(self.text.div_ceil(4))
    }
}
