"""Discovery of plugins and the hooks they may implement."""
