"""Usage objects in the documented forms of providers, written for these tests, and the token counts that they give."""

from governance.domain.pricing.tokens import TokenCounts

OPENAI_CHAT = {
    "prompt_tokens": 2006,
    "completion_tokens": 300,
    "total_tokens": 2306,
    "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 40},
    "completion_tokens_details": {
        "reasoning_tokens": 128,
        "audio_tokens": 60,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
}
OPENAI_RESPONSES = {
    "input_tokens": 328,
    "input_tokens_details": {"cached_tokens": 256},
    "output_tokens": 52,
    "output_tokens_details": {"reasoning_tokens": 32},
    "total_tokens": 380,
}
OPENAI_REALTIME = {
    "total_tokens": 253,
    "input_tokens": 132,
    "output_tokens": 121,
    "input_token_details": {
        "text_tokens": 119,
        "audio_tokens": 13,
        "cached_tokens": 64,
        "cached_tokens_details": {"text_tokens": 60, "audio_tokens": 4},
    },
    "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
}
ANTHROPIC = {
    "input_tokens": 2048,
    "cache_read_input_tokens": 1800,
    "cache_creation_input_tokens": 248,
    "output_tokens": 503,
    "cache_creation": {"ephemeral_5m_input_tokens": 148, "ephemeral_1h_input_tokens": 100},
    "server_tool_use": {"web_search_requests": 1},
    "service_tier": "standard",
}
GEMINI = {
    "promptTokenCount": 1000,
    "cachedContentTokenCount": 600,
    "candidatesTokenCount": 200,
    "thoughtsTokenCount": 150,
    "toolUsePromptTokenCount": 50,
    "totalTokenCount": 1400,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 700}, {"modality": "AUDIO", "tokenCount": 300}],
    "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 500}, {"modality": "AUDIO", "tokenCount": 100}],
    "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 200}],
}
BEDROCK = {
    "inputTokens": 100,
    "outputTokens": 50,
    "totalTokens": 650,
    "cacheReadInputTokens": 400,
    "cacheWriteInputTokens": 100,
    "cacheDetails": [{"ttl": "5m", "inputTokens": 70}, {"ttl": "1h", "inputTokens": 30}],
}
MISTRAL = {"prompt_tokens": 16, "completion_tokens": 34, "total_tokens": 50, "prompt_audio_seconds": None}
DEEPSEEK = {
    "prompt_tokens": 1100,
    "completion_tokens": 90,
    "total_tokens": 1190,
    "prompt_cache_hit_tokens": 1024,
    "prompt_cache_miss_tokens": 76,
    "prompt_tokens_details": {"cached_tokens": 1024},
    "completion_tokens_details": {"reasoning_tokens": 70},
}
COHERE = {
    "billed_units": {"input_tokens": 5, "output_tokens": 418},
    "tokens": {"input_tokens": 71, "output_tokens": 418},
    "cached_tokens": 0,
}
VLLM = {"prompt_tokens": 7, "total_tokens": 19, "completion_tokens": 12, "prompt_tokens_details": None}

COUNTS = {
    "OpenAI chat": (OPENAI_CHAT, TokenCounts(2006, 1920, input_audio=40, output=300, output_audio=60)),
    "OpenAI responses": (OPENAI_RESPONSES, TokenCounts(328, 256, output=52)),
    "OpenAI realtime": (OPENAI_REALTIME, TokenCounts(132, 64, input_audio=9, output=121, output_audio=91)),
    "Anthropic": (ANTHROPIC, TokenCounts(4096, 1800, 148, 100, output=503)),
    "Anthropic without caching": ({"input_tokens": 10, "output_tokens": 25}, TokenCounts(10, output=25)),
    "Anthropic, one kind of write": (
        {"input_tokens": 1, "cache_creation_input_tokens": 9, "cache_read_input_tokens": 0, "output_tokens": 2},
        TokenCounts(10, 0, 9, output=2),
    ),
    "Gemini": (GEMINI, TokenCounts(1050, 600, input_audio=200, output=350)),
    "Bedrock": (BEDROCK, TokenCounts(600, 400, 70, 30, output=50)),
    "Bedrock without caching": ({"inputTokens": 3, "outputTokens": 4, "totalTokens": 7}, TokenCounts(3, output=4)),
    "Mistral": (MISTRAL, TokenCounts(16, output=34)),
    "DeepSeek": (DEEPSEEK, TokenCounts(1100, 1024, output=90)),
    "Cohere": (COHERE, TokenCounts(5, output=418)),
    "vLLM": (VLLM, TokenCounts(7, output=12)),
    "an embedding": ({"prompt_tokens": 8, "total_tokens": 8}, TokenCounts(8)),
}
