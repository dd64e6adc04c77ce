"""The tablet: questionnaires, consultation, an app that keeps answers when the Wi-Fi does not."""
