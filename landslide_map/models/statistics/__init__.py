"""Members on statistics: their features, boosted trees and small networks."""
